/* Simulates a file system without sockets, like exFAT: every bind below $WITHOUT_SOCKETS fails. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int bind(int socket, const struct sockaddr *address, socklen_t length) {
  const char *folder = getenv("WITHOUT_SOCKETS");
  const char *path = ((const struct sockaddr_un *)address)->sun_path;
  if (address->sa_family == AF_UNIX && folder != NULL && strncmp(path, folder, strlen(folder)) == 0) {
    errno = EPERM;
    return -1;
  }
  int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
  return next(socket, address, length);
}
