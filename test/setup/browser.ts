import chromium from '@sparticuz/chromium';
import { type Browser, chromium as playwright } from 'playwright-core';

/** Starts a headless Chromium without background requests and without a software GPU, which no test needs. */
export async function startBrowser(): Promise<Browser> {
  chromium.setGraphicsMode = false;
  return await playwright.launch({
    executablePath: await chromium.executablePath(),
    args: [...chromium.args, '--disable-background-networking', '--disable-component-update'],
    headless: true,
  });
}
