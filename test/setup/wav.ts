/** A mono PCM WAV of 16 bit: a tone, or silence. `claims` overwrites fields of the header with what they do not hold. */
export function wav(
  seconds: number,
  { silent = false, rate = 16_000, claims = {} as { rate?: number; channels?: number; dataBytes?: number } } = {},
): Buffer {
  const samples = Math.round(seconds * rate);
  const data = Buffer.alloc(2 * samples);
  if (!silent) {
    for (let at = 0; at < samples; at += 1) data.writeInt16LE(Math.round(8000 * Math.sin(at / 6)), 2 * at);
  }
  const channels = claims.channels ?? 1;
  const claimedRate = claims.rate ?? rate;
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE((36 + (claims.dataBytes ?? data.length)) % 2 ** 32, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(claimedRate, 24);
  head.writeUInt32LE((claimedRate * channels * 2) % 2 ** 32, 28);
  head.writeUInt16LE((channels * 2) % 2 ** 16, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(claims.dataBytes ?? data.length, 40);
  return Buffer.concat([head, data]);
}
