import { describe, expect, test } from 'vitest';
import { keyNumber, parseSerialNumbers } from '../../src/formats/driver/mokutil.ts';
import { type FolderGuest, makeFolderGuest } from '../helpers/folder-guest.ts';

const CERTIFICATE = '/var/lib/dkms/mok.pub';

function guestWithSource(): FolderGuest {
  const guest = makeFolderGuest({
    distribution: 'rocky-9',
    secureBoot: 'on',
    nouveau: 'not-bound',
    prerequisites: 'installed',
  });
  guest.write('/usr/src/nvidia-1.0/dkms.conf', 'PACKAGE_NAME="nvidia"\nPACKAGE_VERSION="1.0"\n');
  return guest;
}
const install = (guest: FolderGuest) => guest.run('dkms', 'install', '-m', 'nvidia', '-v', '1.0', '-k', guest.kernel);

describe('under Secure Boot the stand-in', () => {
  test('modprobe loads only what is signed with an enrolled key, which DKMS makes and nobody has enrolled', async () => {
    using guest = guestWithSource();
    expect((await install(guest)).code).toBe(0);
    expect((await guest.run('modinfo', '-F', 'signer', 'nvidia')).stdout).toBe('DKMS module signing key\n');
    expect(await guest.run('modprobe', 'nvidia')).toMatchObject({
      code: 1,
      stderr: "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service\n",
    });
    guest.write('/var/lib/stubs/enrolled-keys', guest.read(CERTIFICATE) ?? '');
    expect((await guest.run('modprobe', 'nvidia')).code).toBe(0);
  });

  test('DKMS signs nothing without sign-file, and nothing on an Ubuntu without a key', async () => {
    using guest = guestWithSource();
    guest.remove(`/lib/modules/${guest.kernel}/build/scripts/sign-file`);
    await install(guest);
    expect((await guest.run('modinfo', '-F', 'signer', 'nvidia')).stdout).toBe('');
    using ubuntu = makeFolderGuest({ distribution: 'ubuntu-24.04', prerequisites: 'installed' });
    ubuntu.write('/usr/src/nvidia-1.0/dkms.conf', 'PACKAGE_NAME="nvidia"\nPACKAGE_VERSION="1.0"\n');
    expect((await install(ubuntu)).stdout).toContain("update-secureboot-policy not found, modules won't be signed");
  });

  test('mokutil says of a certificate what the firmware knows', async () => {
    using guest = guestWithSource();
    const ask = () => guest.run('mokutil', '--test-key', CERTIFICATE);
    expect((await guest.run('mokutil', '--sb-state')).stdout).toBe('SecureBoot enabled\n');
    expect((await ask()).code).toBe(255);
    guest.write(CERTIFICATE, 'CN=mine\n');
    expect(await ask()).toMatchObject({ code: 0, stdout: `${CERTIFICATE} is not enrolled\n` });
    guest.write('/var/lib/stubs/requested-keys', 'CN=mine\n');
    expect(await ask()).toMatchObject({ code: 1, stdout: `${CERTIFICATE} is already in the enrollment request\n` });
    guest.write('/var/lib/stubs/enrolled-keys', 'CN=mine\n');
    expect(await ask()).toMatchObject({ code: 1, stdout: `${CERTIFICATE} is already enrolled\n` });
    // the number of the certificate is that which a signature of its key carries
    expect((await guest.run('mokutil', '--db')).stdout).toBe('db is empty\n');
    guest.write('/var/lib/dkms/mok.key', 'a key\n');
    await install(guest);
    const { stdout: number } = await guest.run('modinfo', '-F', 'sig_key', 'nvidia');
    expect(parseSerialNumbers((await guest.run('mokutil', '--list-enrolled')).stdout)).toEqual(
      new Set([keyNumber(number)]),
    );
    expect((await guest.run('mokutil', '--import')).code).toBe(255);
    using bios = makeFolderGuest();
    expect(await bios.run('mokutil', '--sb-state')).toMatchObject({
      code: 255,
      stderr: 'EFI variables are not supported on this system\n',
    });
  });
});

describe('the stand-in package databases', () => {
  test('of Debian finds installed packages by a pattern, and says so where none matches', async () => {
    using guest = makeFolderGuest({ distribution: 'debian-12' });
    const ask = (pattern: string) => guest.run('dpkg-query', '--show', '--showformat=$' + '{Package}\\n', pattern);
    expect((await ask('linux-image-*')).stdout).toBe('linux-image-6.1.0-28-amd64\nlinux-image-amd64\n');
    expect(await ask('*nvidia*')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'dpkg-query: no packages found matching *nvidia*\n',
    });
  });

  test('of the others find all, or what a pattern matches, and are content with nothing', async () => {
    using guest = makeFolderGuest({ distribution: 'rocky-9' });
    const ask = (...patterns: readonly string[]) =>
      guest.run('rpm', '--query', '--all', '--queryformat', '%{NAME}\\n', ...patterns);
    expect((await ask()).stdout).toBe('kernel-core\n');
    expect((await ask('kernel*', '*nvidia*')).stdout).toBe('kernel-core\n');
    expect(await ask('*nvidia*')).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});
