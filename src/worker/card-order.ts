/**
 * `cuda:0` is one card for the list, the worker and nvidia-smi. CUDA by itself counts the fastest card first, nvidia-smi by
 * slot.
 */
export const CARD_ORDER = { CUDA_DEVICE_ORDER: 'PCI_BUS_ID' };

/**
 * What nvidia-smi calls a card, which knows nothing of CUDA_VISIBLE_DEVICES: an index or a UUID.
 *
 * @param device `cuda` or `cuda:N`.
 */
export function cardOf(device: string, { CUDA_VISIBLE_DEVICES }: NodeJS.ProcessEnv): string {
  const index = Number(device.split(':')[1] ?? 0);
  const visible = CUDA_VISIBLE_DEVICES?.split(',').map((one) => one.trim());
  return visible?.[index] || String(index);
}
