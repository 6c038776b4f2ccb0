import { expect, test } from 'vitest';
import { parseFramework } from '../../../src/formats/driver/dkms-framework.ts';

test('the file that DKMS ships names no keys', () => {
  expect(
    parseFramework(['# mok_signing_key=/var/lib/dkms/mok.key\n# mok_certificate=/var/lib/dkms/mok.pub\n'], 'K'),
  ).toEqual({});
});

test('the last file that names one counts', () => {
  const texts = ['mok_signing_key="/a.key"\nmok_certificate=/a.pub # mine\n', "mok_signing_key='/b.key'\n"];
  expect(parseFramework(texts, 'K')).toEqual({ secret: '/b.key', certificate: '/a.pub' });
});

test('a path may hold the kernel, and a key may be no file', () => {
  expect(
    parseFramework(
      // biome-ignore lint/suspicious/noTemplateCurlyInString: framework.conf's own syntax
      ['mok_signing_key=pkcs11:token=hsm\nmok_certificate="/keys/${kernelver}/$kernelver.pub"\n'],
      '6.1.0',
    ),
  ).toEqual({ secret: 'pkcs11:token=hsm', certificate: '/keys/6.1.0/6.1.0.pub' });
});
