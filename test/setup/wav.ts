interface Claims {
  rate?: number;
  channels?: number;
  dataBytes?: number;
}

/** A mono PCM WAV file of 16 bit with these samples; `claims` puts false values into the header. */
export function wavOf(samples: Buffer, rate: number, claims: Claims = {}): Buffer {
  const channels = claims.channels ?? 1;
  const claimedRate = claims.rate ?? rate;
  const dataBytes = claims.dataBytes ?? samples.length;
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE((36 + dataBytes) % 2 ** 32, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(claimedRate, 24);
  head.writeUInt32LE((claimedRate * channels * 2) % 2 ** 32, 28);
  head.writeUInt16LE((channels * 2) % 2 ** 16, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(dataBytes, 40);
  return Buffer.concat([head, samples]);
}

/** A WAV file with a tone or silence at 16 kHz. */
export function wav(seconds: number, { silent = false, claims = {} as Claims } = {}): Buffer {
  const samples = Buffer.alloc(2 * Math.round(seconds * 16_000));
  if (!silent) {
    for (let at = 0; at < samples.length; at += 2) samples.writeInt16LE(Math.round(8000 * Math.sin(at / 12)), at);
  }
  return wavOf(samples, 16_000, claims);
}
