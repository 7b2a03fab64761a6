const CERTIFICATE: Record<string, string> = {
  CERT_HAS_EXPIRED: 'has expired, or the clock of this machine is wrong',
  CERT_NOT_YET_VALID: 'is not valid yet, or the clock of this machine is wrong',
  ERR_TLS_CERT_ALTNAME_INVALID: 'is for another host',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'is self-signed and not trusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'comes from an authority that is not trusted',
};

const CONNECTION: Record<string, string> = {
  ENOTFOUND: 'its name is unknown (DNS)',
  EAI_AGAIN: 'its name cannot be looked up (DNS)',
  ECONNREFUSED: 'it refuses connections',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'it does not answer in time',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
  ENETDOWN: 'the network is down',
  EACCES: 'this machine forbids the connection',
  EPERM: 'this machine forbids the connection',
  ERR_TOO_MANY_REDIRECTS: 'it redirects in a loop',
};

/** Describes a connection error, as the end of a sentence about the host. */
export function connectionWords(code: string | undefined): string {
  const why =
    CONNECTION[code ?? ''] ?? (/^(EPROTO|ERR_SSL_)/.test(code ?? '') ? 'it does not speak TLS there' : undefined);
  return why === undefined ? code || 'no answer' : `${why} (${code})`;
}

/** Describes a certificate error, as the end of a sentence; null for any other error. */
export function certificateWords(code: string | undefined): string | null {
  const about = /CERT|SELF_SIGNED|LEAF_SIGNATURE|ISSUER|INVALID_CA|INVALID_PURPOSE|HOSTNAME/;
  if (code === undefined || (!(code in CERTIFICATE) && !about.test(code))) return null;
  return CERTIFICATE[code] ?? 'comes from an authority that is not trusted';
}
