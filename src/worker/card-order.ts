/** Gives `cuda:0` the meaning that it has for nvidia-smi. By default CUDA counts the fastest card first. */
export const CARD_ORDER = { CUDA_DEVICE_ORDER: 'PCI_BUS_ID' };

/** The index or UUID of a card for nvidia-smi, which ignores CUDA_VISIBLE_DEVICES. @param device `cuda` or `cuda:N`. */
export function cardOf(device: string, { CUDA_VISIBLE_DEVICES }: NodeJS.ProcessEnv): string {
  const index = Number(device.split(':')[1] ?? 0);
  const visible = CUDA_VISIBLE_DEVICES?.split(',').map((one) => one.trim());
  return visible?.[index] || String(index);
}
