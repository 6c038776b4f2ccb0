import type { XorgScreen, XorgSections } from './xorg-conf.ts';
import type { XorgDevice } from './xorg-device.ts';
import { sameXorgName } from './xorg-tokens.ts';

/** What of all sections the X server puts to use. */
export interface XorgUse {
  /** Devices that a screen is shown by; `screen` is undefined where X makes one up. */
  readonly shown: readonly { readonly device: XorgDevice; readonly screen: XorgScreen | undefined }[];
  /** Devices that X takes along as further GPUs, and does not need. */
  readonly beside: readonly XorgDevice[];
}

/**
 * As X puts the sections of all its files together, in the order in which it reads them (X server 21.1, hw/xfree86/common/xf86Config.c):
 * the first ServerLayout or the one that is called default, else the first Screen, and of several things with one name the first.
 */
export function xorgUse(files: readonly XorgSections[]): XorgUse {
  const devices = files.flatMap(file => file.devices);
  const screens = files.flatMap(file => file.screens);
  const layouts = files.flatMap(file => file.layouts);
  const wanted = files.findLast(({ flags }) => flags)?.flags?.defaultLayout;
  const first = layouts.find(isOfSeat);
  const layout = (first && wanted !== undefined ? named(layouts, wanted) : undefined) ?? first;

  const ofLayout = layout?.screens.flatMap(name => named(screens, name) ?? []) ?? [];
  const inUse: readonly (XorgScreen | undefined)[] = ofLayout.length > 0 ? ofLayout : [screens.find(isOfSeat)];
  const shown = inUse.flatMap(screen => {
    // a Screen that names none asks for the Device without a name
    const device = (screen && named(devices, screen.device ?? '')) ?? devices.find(isOfSeat);
    return device ? [{ device, screen }] : [];
  });
  const asked = [...inUse.flatMap(screen => screen?.gpuDevices ?? []), ...(layout?.inactive ?? [])];
  // a lone screen that names no further GPU gets all there are
  const isLone = inUse.length === 1 && (inUse[0]?.gpuDevices ?? []).length === 0;
  const beside = isLone ? devices.filter(isOfSeat) : asked.flatMap(name => named(devices, name) ?? []);
  return { shown, beside: beside.filter(device => !shown.some(({ device: primary }) => primary === device)) };
}

/** What nobody names is passed over where it is for another seat; display managers give the screen of a guest this one. */
function isOfSeat({ matchSeat }: { readonly matchSeat: string | undefined }): boolean {
  return matchSeat === undefined || sameXorgName(matchSeat, 'seat0');
}

function named<T extends { readonly identifier: string }>(all: readonly T[], name: string): T | undefined {
  return all.find(({ identifier }) => sameXorgName(identifier, name));
}
