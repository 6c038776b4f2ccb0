# shellcheck shell=sh disable=SC2034,SC2154
# Part of nvidia-installer: signatures for kernels that want them.

signed=n new_keys=n

has_keys() { [ -n "$secret_key" ] && [ -n "$public_key" ]; }

# With keys always, without them where the kernel is configured to load nothing else; else nobody signs.
sign_modules() {
  _secure_boot=$(secure_boot)
  [ "$_secure_boot" != unknown ] || say 'Unable to determine if Secure Boot is enabled: No such file or directory'
  if ! has_keys; then
    if has_configuration CONFIG_MODULE_SIG_FORCE; then
      message 'The target kernel has CONFIG_MODULE_SIG_FORCE set, which means that it requires that kernel modules be cryptographically signed by a trusted key.'
      make_keys
    else
      [ "$_secure_boot" = on ] && has_configuration CONFIG_MODULE_SIG || return 0
      answer 'The target kernel has CONFIG_MODULE_SIG set, which means that it supports cryptographic signatures on kernel modules. On some systems, the kernel may refuse to load modules without a valid signature from a trusted key. This system also has UEFI Secure Boot enabled; many distributions enforce module signature verification on UEFI systems when Secure Boot is enabled. Would you like to sign the NVIDIA kernel module?' 'Install without signing'
      return
    fi
  fi
  sign nvidia.ko || failed
  [ "$new_keys" = n ] || forget_secret_key
}

sign() {
  for _program in "$sign_script" "$output_path/scripts/sign-file" "$source_path/scripts/sign-file"; do
    [ -z "$_program" ] || [ ! -x "$root$_program" ] || sign_script=${sign_script:-$_program}
  done
  if [ -z "$sign_script" ]; then
    error "nvidia-installer cannot sign $1 without the \`sign-file\` module signing program, and was unable to automatically locate it. If you need to sign the NVIDIA kernel modules, please try again and set the '--module-signing-script' option on the installer's command line."
    return 1
  fi
  guess_hash
  begin 'Signing kernel module:'
  if logged "$root$sign_script" "$sign_hash" "$root$secret_key" "$root$public_key" "$here/$module_folder/$1"; then
    signed=y
    end done.
    return
  fi
  end 'Failed to sign kernel module.'
  return 1
}

guess_hash() {
  [ -n "$sign_hash" ] || sign_hash=$(sed -n 's/^#define CONFIG_MODULE_SIG_HASH "\(.*\)"$/\1/p' "$root$output_path/include/generated/autoconf.h" 2>/dev/null)
  sign_hash=${sign_hash:-sha256}
}

make_keys() {
  answer 'Would you like to sign the NVIDIA kernel module with an existing key pair, or would you like to generate a new one?' 'Generate a new key pair'
  if ! find_utility openssl; then
    error 'Unable to generate key pair: openssl not found!'
    failed
  fi
  guess_hash
  log 'Generating key pair for module signing...'
  secret_key=$here/signing.key public_key=$here/signing.der new_keys=y
  if ! logged guest openssl req -new -x509 -newkey rsa:2048 -days 7300 -nodes -subj '/CN=nvidia-installer generated signing key/' \
    -keyout "$secret_key" -outform DER -out "$public_key" "-$sign_hash"; then
    error 'Failed to generate key pair!'
    failed
  fi
  log 'Signing keys generated successfully.'
}

# The certificate is installed for whoever makes the kernel trust it.
forget_secret_key() {
  answer 'The NVIDIA kernel module was successfully signed with a newly generated key pair. Would you like to delete the private signing key?' Yes
  rm -f "$secret_key"
  _print=$(sha1sum "$public_key" | tr '[:lower:]' '[:upper:]' | cut -c 1-8)
  certificate=/usr/share/nvidia/nvidia-modsign-crt-$_print.der
  message "An X.509 certificate containing the public signing key will be installed to $certificate. The SHA1 fingerprint of this certificate is: $_print.

This certificate must be added to a key database which is trusted by your kernel in order for the kernel to be able to verify the module signature."
}
