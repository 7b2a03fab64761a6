/** Whether a host name, with brackets around an IPv6 address or without, means this machine and nobody else. */
export function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '[::1]' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name);
}
