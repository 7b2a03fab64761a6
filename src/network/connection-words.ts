const CERTIFICATE: Record<string, string> = {
  CERT_HAS_EXPIRED: 'has expired, or the clock of this machine is wrong',
  CERT_NOT_YET_VALID: 'is not valid yet, or the clock of this machine is wrong',
  ERR_TLS_CERT_ALTNAME_INVALID: 'is for another host',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'is self-signed and not trusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'comes from an authority that is not trusted',
};

const CONNECTION: Record<string, string> = {
  ENOTFOUND: 'its name is not known (DNS)',
  EAI_AGAIN: 'its name cannot be looked up (DNS)',
  ECONNREFUSED: 'it refuses connections',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'it does not answer in time',
  EHOSTUNREACH: 'no network leads to it',
  ENETUNREACH: 'no network leads to it',
  ENETDOWN: 'the network is down',
  EACCES: 'this machine forbids the connection',
  EPERM: 'this machine forbids the connection',
  ERR_TOO_MANY_REDIRECTS: 'it redirects without end',
};

/** What an error of a connection says of the other side, as the end of a sentence. */
export function connectionWords(code: string | undefined): string {
  const why =
    CONNECTION[code ?? ''] ?? (/^(EPROTO|ERR_SSL_)/.test(code ?? '') ? 'it does not speak TLS there' : undefined);
  return why === undefined ? code || 'no answer' : `${why} (${code})`;
}

/** What is wrong with a certificate, as the end of a sentence; null where the error is about none. */
export function certificateWords(code: string | undefined): string | null {
  const about = /CERT|SELF_SIGNED|LEAF_SIGNATURE|ISSUER|INVALID_CA|INVALID_PURPOSE|HOSTNAME/;
  if (code === undefined || (!(code in CERTIFICATE) && !about.test(code))) return null;
  return CERTIFICATE[code] ?? 'comes from an authority that is not trusted';
}
