import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import tls, { type SecureContext } from 'node:tls';

/** Where Linux distributions and macOS keep their trusted certificates. */
const SYSTEM = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
/** Variables that users set for OpenSSL, Node, requests, curl, pip, and the hub's own clients. */
const FILES = ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'PIP_CERT'];

/**
 * Trusts the certificates of Node and of the system, and those that the variables name: behind a company's proxy only
 * those work. Building it takes about 0.1 s, so a client builds it once.
 */
export function trustedContext(environment: NodeJS.ProcessEnv): SecureContext {
  return tls.createSecureContext({ ca: trustedCertificates(environment) });
}

/** Writes the same certificates to a file, for a program that reads one. */
export function writeTrusted(file: string, environment: NodeJS.ProcessEnv): string {
  writeFileSync(file, `${trustedCertificates(environment).join('\n')}\n`);
  return file;
}

function trustedCertificates(environment: NodeJS.ProcessEnv): string[] {
  const found = new Set<string>();
  // Node 20 has no getCACertificates.
  const { getCACertificates = () => tls.rootCertificates } = tls as Partial<typeof tls>;
  for (const kind of ['default', 'bundled', 'system'] as const) {
    for (const one of getCACertificates(kind)) found.add(one.trim());
  }
  const folders = (environment.SSL_CERT_DIR ?? '').split(path.delimiter).filter(Boolean);
  for (const file of [...SYSTEM, ...FILES.flatMap((name) => environment[name] ?? []), ...folders]) {
    for (const one of certificatesAt(file)) found.add(one);
  }
  return [...found];
}

/** Reads one file, or all files in a folder. Empty where nothing can be read. */
function certificatesAt(file: string): string[] {
  try {
    const texts = readdirSync(file).map((name) => readText(path.join(file, name)));
    return texts.flatMap(blocks);
  } catch {
    return blocks(readText(file));
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function blocks(text: string): string[] {
  const found =
    text.match(/-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED )?CERTIFICATE-----/g) ?? [];
  return found.filter((block) => !block.includes('TRUSTED')).map((block) => block.replaceAll('\r', ''));
}
