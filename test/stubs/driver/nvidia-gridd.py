#!/usr/bin/python3
"""Stand-in for NVIDIA's vGPU licensing daemon, for guests with a real root; on a guest in a folder the sh one runs.

It speaks a protocol of the test bed's own, described in test/guest/license/PROTOCOL.md: one line of JSON each way, and
the first member of each names it ("vgpu-guest-test-bed/1"). It has nothing in common with NVIDIA's: their services
understand no byte of it, a service that understands it cannot license a driver of NVIDIA's, and only private addresses
are ever asked.

Texts of the log are those seen in published logs of each driver branch. How long the real one waits is known in parts
only; what is a choice of the test bed says so. /var/lib/stubs may hold
  gridd-retry-s   seconds between two attempts, and for how long an answer is waited for (or variable GRIDD_RETRY_S)
  gridd-death     the word late: systemd calls the daemon started before the token is read, so that it dies afterwards
  gpu-name        what the GPU is called
"""

import base64
import binascii
import glob
import hashlib
import ipaddress
import itertools
import json
import os
import re
import signal
import sys
import syslog
import time
import uuid

VERSION = '@VERSION@'
BRANCH = int(VERSION.split('.')[0])
PROTOCOL = 'vgpu-guest-test-bed/1'

CONF = '/etc/nvidia/gridd.conf'
PID_FILE = '/run/nvidia-gridd/nvidia-gridd.pid'
STORE_FOLDER = '/var/lib/nvidia/GridLicensing'
STORE = f'{STORE_FOLDER}/trusted-store.json'
STUBS = '/var/lib/stubs'
# what the driver holds: nvidia-smi reads the one; the other stays until the next boot, as an enabled feature does
LICENSE = '/run/stubs-license'
FEATURE = '/run/stubs-feature'

# seen 24, 28 and 33 seconds apart, and growing; that it ends at five minutes is a choice
RETRIES_S = (24, 28, 33)
LONGEST_RETRY_S = 300
# a token is looked for again and again; how often is a choice, and so is how long an answer may take
TOKEN_POLL_S = 10
ANSWER_S = 30
# systemd waits for a stop, and driver containers give the daemon one second
RETURN_S = 0.9
# a lease of 15 minutes was renewed every 145 seconds
RENEW_AT = 0.16
# the limit is real, its size is a choice: about fifty network interfaces
IDENTITY_BYTES = 1024
# smaller steps back than this are what NTP does
WINDBACK_S = 1

# letter of the profile, FeatureType on pass-through, name from R460.32 on, name before, feature of the legacy server
PRODUCTS = (
    ('Q', '2', 'NVIDIA RTX Virtual Workstation', 'Quadro Virtual Data Center Workstation', 'Quadro-Virtual-DWS,5.0'),
    ('B', '', 'NVIDIA Virtual PC', 'GRID Virtual PC', 'GRID-Virtual-PC,2.0'),
    ('A', '', 'NVIDIA Virtual Applications', 'GRID Virtual Applications', 'GRID-Virtual-Apps,3.0'),
    ('C', '4', 'NVIDIA Virtual Compute Server', 'NVIDIA Virtual Compute Server', 'NVIDIA-vComputeServer,9.0'),
)


# the end of a pipe to the process that systemd or a person has started
launcher = None


class Stopped(BaseException):
    """SIGTERM has come."""


class Failed(Exception):
    """An attempt has failed; the text is the tail of the daemon's line."""


class Mismatch(Exception):
    """The service does not know the lease that is held here."""


class BadToken(Exception):
    """A file in the token directory is no token."""


def main():
    for word in sys.argv[1:]:
        if word != '--verbose':
            end(f'nvidia-gridd: unrecognized option: {word}')
    if is_running():
        end('nvidia-gridd: already running')
    global launcher
    reading, launcher = os.pipe()
    launcher_pid = os.getpid()
    first = os.fork()
    if first == 0:
        os.close(reading)
        os.setsid()
        # the second fork: no leader of a session, so that no terminal can ever become its own
        if os.fork() == 0:
            os.chdir('/')
            close_terminal()
            daemon(launcher_pid)
        os._exit(0)
    os.close(launcher)
    os.waitpid(first, 0)
    # nothing comes when the daemon has died without a word
    told = os.read(reading, 16)
    sys.exit(int(told or b'1'))


def end(complaint):
    print(complaint, file=sys.stderr)
    sys.exit(1)


def is_running():
    pid = text_of(PID_FILE).strip()
    try:
        os.kill(int(pid), 0)
        return True
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True


def close_terminal():
    nowhere = os.open('/dev/null', os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
    os.umask(0o022)


def daemon(launcher_pid):
    """Never returns."""
    code = 1
    try:
        signal.signal(signal.SIGTERM, stop)
        syslog.openlog('nvidia-gridd', syslog.LOG_PID, syslog.LOG_DAEMON)
        os.makedirs(os.path.dirname(PID_FILE), exist_ok=True)
        put(PID_FILE, f'{os.getpid()}\n')
        say(f'Started ({os.getpid()})')
        if text_of(f'{STUBS}/gridd-death').strip() == 'late':
            tell(0)
            # systemd reaps it once it has seen which process is the daemon
            wait_for(lambda: not os.path.exists(f'/proc/{launcher_pid}'))
        code = serve()
    except Stopped:
        code = 0
    except OSError:
        # a folder that cannot be written, a full disk: no word of the real one is known
        pass
    except Exception as fault:
        say(f'fault of the stand-in: {fault!r} in line {fault.__traceback__.tb_next.tb_lineno}')
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if code == 0:
            give_back()
        say(f'Shutdown ({os.getpid()})')
        remove(PID_FILE)
        tell(code)
        os._exit(code)


def stop(_signal, _frame):
    raise Stopped


def tell(code):
    """The launcher ends with this code; it hears the first word only."""
    global launcher
    if launcher is None:
        return
    told, launcher = launcher, None
    try:
        os.write(told, str(code).encode())
    except BrokenPipeError:
        pass
    os.close(told)


def wait_for(condition):
    until = time.monotonic() + 5
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)


def serve():
    """From the first look at the machine on; the exit code of a daemon that has nothing to do or cannot go on."""
    if not os.path.isdir(STORE_FOLDER):
        os.mkdir(STORE_FOLDER, 0o755)
    # a folder that is there and read-only stops it as well
    put(STORE, text_of(STORE) or '{}')
    if not initialise_rm_client():
        say('Failed to initialise RM client')
        return 1
    drop_expired_license()
    conf = read_configuration()
    if BRANCH >= 470:
        say('vGPU Software package (0)')
    gpus = find_gpus()
    if not gpus:
        say('Licensing not supported for GPUs in the system')
        say('Failed to handle license change events')
        say('Failed to unlock PID file: Bad file descriptor')
        return 0
    product = decide_product(gpus[0], conf)
    directory = unquoted(conf.get('ClientConfigTokenPath', '/etc/nvidia/ClientConfigToken/'))
    try:
        token = read_token(directory)
        legacy = legacy_servers(conf) if token is None and BRANCH < 525 else []
        # a daemon before R470 has never heard of tokens
        if token is None and BRANCH >= 470:
            say('Unable to fetch the client configuration token file')
        tell(0)
        if legacy:
            prepare_legacy()
        else:
            token = token or wait_for_token(directory)
            say(f'Ignore service provider {"and node-locked " if BRANCH >= 510 else ""}licensing')
            say('NLS initialized')
    except BadToken:
        say('Failed to decode signature from token received')
        say('Failed to read configurations from client configuration token (Error: 3)')
        say('Failed to setup cloud License Manager: 3')
        return 1
    if product is None:
        sleep_forever()
    seats = len(gpus) if product[0] == 'C' else 1
    license_guest(legacy or nls_servers(token), token, product, seats, conf)


# --- the machine

rm_client = None


def initialise_rm_client():
    """The module must be of this very version; an open device keeps it from being unloaded."""
    global rm_client
    if text_of('/sys/module/nvidia/version').strip() != VERSION:
        return False
    try:
        rm_client = os.open('/dev/nvidiactl', os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


def find_gpus():
    return [device for device in sorted(glob.glob('/sys/bus/pci/devices/*')) if is_licensable(device)]


def is_licensable(device):
    if text_of(f'{device}/vendor').strip() != '0x10de':
        return False
    if text_of(f'{device}/class')[:6] not in ('0x0300', '0x0302'):
        return False
    try:
        return os.path.basename(os.readlink(f'{device}/driver')) == 'nvidia'
    except OSError:
        return False


def is_vgpu(device):
    """A vGPU carries a vendor-specific capability (id 09, next, length) with the letters VF."""
    try:
        with open(f'{device}/config', 'rb') as file:
            return re.search(rb'\x09..\x56\x46', file.read(), re.DOTALL) is not None
    except OSError:
        return False


def profile_of(device):
    information = text_of(f'/proc/driver/nvidia/gpus/{os.path.basename(device)}/information')
    model = re.search(r'^Model:\s*(.+?)\s*$', information, re.MULTILINE)
    return text_of(f'{STUBS}/gpu-name').strip() or (model[1] if model else 'NVIDIA A10-4Q')


def decide_product(gpu, conf):
    """The row of PRODUCTS that is to be licensed; None: nothing can be asked for."""
    if is_vgpu(gpu):
        # the profile decides, whatever FeatureType says
        letter = profile_of(gpu)[-1]
        return next((row for row in PRODUCTS if row[0] == letter), PRODUCTS[0])
    chosen = next((row for row in PRODUCTS if row[1] and row[1] == conf.get('FeatureType')), None)
    if chosen is None:
        say('Invalid feature type requested')
        return None
    # the driver keeps a feature that was licensed once until the next boot
    enabled = text_of(FEATURE).strip()
    return next((row for row in PRODUCTS if name_of(row) == enabled), chosen)


def name_of(product):
    letter, _, name, old_name, _ = product
    if letter == 'C' and BRANCH >= 595:
        return 'NVIDIA vGPU for Compute'
    return name if BRANCH >= 460 else old_name


# --- what it is told

def read_configuration():
    """NVIDIA's reading: all blanks go, # counts at the start of a line only, the last line wins, empty is default."""
    try:
        with open(CONF, encoding='utf-8', errors='surrogateescape') as file:
            lines = [re.sub(r'[ \t\v\f\r\n]', '', line) for line in file.read().split('\n')]
    except OSError as error:
        say(f'Failed to open file {CONF} ({error.strerror})')
        return {}
    pairs = [line.partition('=') for line in lines if '=' in line and not line.startswith('#')]
    conf = {}
    for key, _, value in pairs:
        if value:
            conf[key] = value
    unset = [words for key, words in UNSET_WORDS if key not in conf]
    if unset and BRANCH < 535:
        say(f'Configuration parameter ({"".join(unset)}) not set')
    return conf


UNSET_WORDS = (('ServerAddress', ' ServerAddress '), ('FeatureType', ' FeatureType'))


def unquoted(value):
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def legacy_servers(conf):
    servers = []
    for prefix in ('', 'Backup'):
        address = unquoted(conf.get(f'{prefix}ServerAddress', ''))
        port = conf.get(f'{prefix}ServerPort', '7070')
        if address:
            url = f'http://{address}:{port}/request'
            number = int(port) if port.isdigit() else 7070
            servers.append({'said': url, 'host': address, 'port': number, 'tls': False})
    return servers


def prepare_legacy():
    say('Ignore service provider licensing')
    if BRANCH <= 470:
        say('Service provider detection complete.')
        say('Calling load_byte_array(tra)')


def nls_servers(token):
    configuration = token['service_instance_configuration']
    ports = {
        entry['idx']: {service['service']: int(service['port']) for service in entry['svc_port_map']}
        for entry in configuration['svc_port_set_list']
    }
    return [
        {'said': node['url'], 'host': node['url'], 'port': ports[node['svc_port_set_idx']]['lease'], 'tls': True}
        for node in sorted(configuration['node_url_list'], key=lambda node: node['idx'])
    ]


def read_token(directory):
    """Its claims; None where there is nothing. The directory holds the token and nothing else, or the daemon dies."""
    try:
        names = os.listdir(directory)
    except OSError:
        return None
    if BRANCH < 470 or not names:
        return None
    if len(names) > 1:
        raise BadToken
    try:
        with open(f'{directory}/{names[0]}', encoding='ascii') as file:
            text = file.read()
        claims = verified(text[:-1] if text.endswith('\n') else text)
        nls_servers(claims)
        return {**claims, 'text': text.strip()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadToken from error


def verified(text):
    """The claims of an RS256 JWS, by the public key that it carries as its header's jwk (RFC 7515, 4.1.3)."""
    if not re.fullmatch(r'[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+', text):
        raise ValueError('not three parts')
    head, payload, signature = text.split('.')
    header, claims = json.loads(decoded(head)), json.loads(decoded(payload))
    if header['alg'] != 'RS256' or header['jwk']['kty'] != 'RSA' or claims['aud'] != 'NLS Licensed Client':
        raise ValueError('a token of another kind')
    modulus, exponent = (int.from_bytes(decoded(header['jwk'][name]), 'big') for name in ('n', 'e'))
    size = (modulus.bit_length() + 7) // 8
    signed = decoded(signature)
    opened = pow(int.from_bytes(signed, 'big'), exponent, modulus).to_bytes(size, 'big')
    # PKCS#1 v1.5 over DigestInfo of SHA-256
    digest = hashlib.sha256(f'{head}.{payload}'.encode()).digest()
    told = bytes.fromhex('3031300d060960864801650304020105000420') + digest
    if len(signed) != size or opened != b'\x00\x01' + b'\xff' * (size - len(told) - 3) + b'\x00' + told:
        raise ValueError('the signature is not of this text')
    return claims


def decoded(part):
    try:
        return base64.b64decode(part + '=' * (-len(part) % 4), altchars=b'-_', validate=True)
    except binascii.Error as error:
        raise ValueError('no base64url') from error


def wait_for_token(directory):
    while True:
        time.sleep(retry_s() or TOKEN_POLL_S)
        token = read_token(directory)
        if token is not None:
            return token


# --- the license

def license_guest(servers, token, product, seats, conf):
    """Gets the license, keeps it, and gets it again when it was lost; never returns."""
    ask = {'product': name_of(product), 'seats': seats, 'token': token, 'interval_s': interval_s(conf)}
    while True:
        # a license that came starts the growing pauses anew
        for pause_s in pauses():
            lease = acquire(servers, ask, product)
            if lease is not None:
                break
            time.sleep(pause_s)
            drop_expired_license()
        keep(lease, servers, ask)


def interval_s(conf):
    """What a legacy client asks for; NLS decides that by itself."""
    minutes = conf.get('LicenseInterval', '')
    return 60 * (int(minutes) if minutes.isdigit() and 10 <= int(minutes) <= 10080 else 1440)


def pauses():
    fixed = retry_s()
    if fixed:
        return itertools.repeat(fixed)
    later = (min(RETRIES_S[-1] * (7 / 6) ** count, LONGEST_RETRY_S) for count in itertools.count(1))
    return itertools.chain(RETRIES_S, later)


def retry_s():
    text = os.environ.get('GRIDD_RETRY_S') or text_of(f'{STUBS}/gridd-retry-s').strip()
    return float(text) if re.fullmatch(r'\d+(\.\d+)?', text) else None


def acquire(servers, ask, product):
    for server in servers:
        say(f'Acquiring license. (Info: {server["said"]}; {ask["product"]})')
        try:
            lease = request_lease(server, ask)
        except Mismatch:
            disown(server)
            return acquire(servers, ask, product)
        except Failed as failure:
            say_failed(server, ask, str(failure))
            continue
        if lease is None:
            continue
        enable(lease)
        if not server['tls'] and BRANCH < 470:
            say(f'License acquired successfully. (Info: {server["said"]}; {product[-1]})')
        else:
            say(f'License acquired successfully. ({granted(lease)})')
        return lease
    return None


def request_lease(server, ask):
    """None: said already why not."""
    refuse_time(ask['token'])
    me = identity()
    if server['tls'] and len(json.dumps(me)) > IDENTITY_BYTES:
        say('Failed to update local trusted store - Maximum buffer size exceeded')
        say('Failed to register client (2)')
        say(f'Failed to acquire license from {server["said"]}')
        return None
    held = held_lease(server, ask, me)
    lease = held or {'id': str(uuid.uuid4()), 'server': server, 'product': ask['product']}
    # known before it is asked for: a daemon that is stopped meanwhile gives it back
    remember(me, lease)
    try:
        answer = converse(server, ask, 'renew' if held else 'acquire', lease)
    except Failed:
        if not held:
            remember(me, None)
        raise
    lease = {**lease, 'expires_s': answer['expires_s'], 'lease_s': answer['lease_s']}
    remember(me, lease, last_time_s=time.time())
    return lease


def held_lease(server, ask, me):
    """The lease of an earlier run that was not given back, as after a power cut."""
    store = read_store()
    lease = store.get('lease')
    if not lease:
        return None
    if store.get('fingerprint') != fingerprint(me):
        say('Client fingerprint mismatch - No valid lease found in local trusted store')
        return None
    is_ours = lease['server'] == server and lease['product'] == ask['product']
    return lease if is_ours and lease.get('expires_s', 0) > time.time() else None


def keep(lease, servers, ask):
    """Renews the lease; returns when it is lost."""
    renew_s = lease['lease_s'] * RENEW_AT
    while True:
        time.sleep(max(min(renew_s, lease['expires_s'] - time.time()), 0))
        if time.time() >= lease['expires_s']:
            break
        try:
            lease = renew(lease, servers, ask)
            renew_s = lease['lease_s'] * RENEW_AT
            enable(lease)
            say(f'License renewed successfully. ({granted(lease)})')
        except Mismatch:
            disown(lease['server'])
            return
        except Failed:
            renew_s = next(iter(pauses()))
    remove(LICENSE)
    remember(identity(), None)
    say(
        'Valid GRID license not found. GPU features and performance are restricted. '
        'To enable full functionality please configure licensing details.'
    )


def renew(lease, servers, ask):
    """By the server that gave it, then by the others."""
    failed = Failed('no server')
    for server in [lease['server'], *(server for server in servers if server != lease['server'])]:
        try:
            refuse_time(ask['token'])
            answer = converse(server, ask, 'renew', lease)
            renewed = {**lease, 'server': server, 'expires_s': answer['expires_s'], 'lease_s': answer['lease_s']}
            remember(identity(), renewed, last_time_s=time.time())
            return renewed
        except Failed as failure:
            say_failed(server, ask, str(failure))
            failed = failure
    raise failed


def disown(server):
    say('Mismatch between client and server with respect to licenses held. Returning the licenses')
    remove(LICENSE)
    remember(identity(), None)


def give_back():
    """At a stop. What cannot be given back stays with the driver and with the service until it expires."""
    store = read_store()
    lease = store.get('lease')
    if not lease:
        return
    try:
        converse(lease['server'], {'product': lease['product']}, 'return', lease, RETURN_S)
    except (Failed, Mismatch):
        return
    remove(LICENSE)
    put(STORE, json.dumps({**store, 'lease': None}))
    if 'expires_s' in lease:
        say(f'License returned successfully. (Info: {lease["server"]["said"]})')


def granted(lease):
    return f'Info: {lease["server"]["said"]}, {lease["product"]}; Expiry: {gmt(lease["expires_s"])} GMT'


def say_failed(server, ask, tail):
    said, product = server['said'], ask['product']
    if server['tls']:
        say(f'Failed to acquire license from {said} (Info: {product} - Error: {tail})')
    else:
        say(f'Failed to acquire/renew license from license server. (Info: {said}; {product} - Error: {tail})')


def refuse_time(token):
    now = time.time()
    if now < read_store().get('last_time_s', 0) - WINDBACK_S:
        raise Failed('Clock windback has been detected')
    if token and not token.get('nbf', 0) <= now < token.get('exp', 0):
        raise Failed('The allowed time to process response has expired')


def enable(lease):
    """The license is the driver's before the daemon says so."""
    put(LICENSE, f'{lease["product"]}\t{gmt(lease["expires_s"])}\n')
    put(FEATURE, f'{lease["product"]}\n')


def drop_expired_license():
    until = text_of(LICENSE).strip().rpartition('\t')[2]
    fields = [int(field) for field in re.findall(r'\d+', until)]
    if len(fields) == 6 and fields <= list(time.gmtime()[:6]):
        remove(LICENSE)


def gmt(moment_s):
    """2026-4-3 9:11:6, as NVIDIA writes it: nothing is padded."""
    return '{}-{}-{} {}:{}:{}'.format(*time.gmtime(moment_s)[:6])


# --- who this is, and what it remembers

def identity():
    addresses = [text_of(f'{folder}/address').strip() for folder in sorted(glob.glob('/sys/class/net/*'))]
    macs = [address for address in addresses if address not in ('', '00:00:00:00:00:00')]
    return {'machine_id': text_of('/etc/machine-id').strip(), 'macs': macs}


def fingerprint(me):
    return hashlib.sha256(json.dumps(me).encode()).hexdigest()


def read_store():
    try:
        return json.loads(text_of(STORE) or '{}')
    except ValueError:
        return {}


def remember(me, lease, last_time_s=None):
    store = read_store()
    last = store.get('last_time_s', 0) if last_time_s is None else last_time_s
    put(STORE, json.dumps({'fingerprint': fingerprint(me), 'last_time_s': last, 'lease': lease}))


# --- the service

def converse(server, ask, verb, lease, answer_s=None):
    """One line of JSON each way, over TLS or, to a legacy server, without."""
    # they take long to load where the machine is emulated, and the start of the daemon is waited for
    import socket
    import ssl

    host, port = server['host'], server['port']
    token = ask.get('token')
    question = {
        'protocol': PROTOCOL,
        'verb': verb,
        'who': fingerprint(identity()),
        'lease': lease['id'],
        'product': ask['product'],
        'seats': ask.get('seats', 1),
        'time_s': time.time(),
        **({'token': token['text']} if token else {'interval_s': ask.get('interval_s')}),
    }
    limit_s = answer_s or retry_s() or ANSWER_S
    try:
        address = private_address(host, port)
        with socket.create_connection((address, port), timeout=limit_s) as plain:
            stream = plain
            if server['tls']:
                stream = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
            with stream:
                stream.sendall(json.dumps(question).encode() + b'\n')
                with stream.makefile('rb') as lines:
                    answer = json.loads(lines.readline(65536))
    except socket.gaierror as error:
        raise Failed(f'Could not resolve host: {host}') from error
    except TimeoutError as error:
        raise Failed(f'Connection to {host} port {port} timed out') from error
    except ssl.SSLCertVerificationError as error:
        raise Failed(f'SSL certificate problem: {error.verify_message}') from error
    except ssl.SSLError as error:
        raise Failed(f'SSL connect error: {error.reason}') from error
    except OSError as error:
        raise Failed(f'Failed to connect to {host} port {port}: {error.strerror or error}') from error
    except ValueError as error:
        raise Failed(f'The answer of {host} cannot be read') from error
    if not isinstance(answer, dict) or answer.get('protocol') != PROTOCOL:
        raise Failed(f'The answer of {host} cannot be read')
    if answer.get('answer') == 'mismatch':
        raise Mismatch
    if answer.get('answer') not in ('granted', 'returned'):
        raise Failed(str(answer.get('reason')))
    return answer


def private_address(host, port):
    """The test bed is on this machine or next to it; nobody else is ever asked."""
    import socket

    if host == 'nvidia.com' or host.endswith('.nvidia.com'):
        raise Failed(f'Failed to connect to {host} port {port}: the stand-in asks nobody but the test bed')
    address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]
    if not ipaddress.ip_address(address).is_private:
        raise Failed(f'Failed to connect to {host} port {port}: the stand-in asks nobody but the test bed')
    return address


# --- files and log

def say(text):
    syslog.syslog(syslog.LOG_INFO, text)


def text_of(path):
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            return file.read()
    except OSError:
        return ''


def put(path, text):
    """Whole at once: others read it at any time."""
    with open(f'{path}.new', 'w', encoding='utf-8') as file:
        file.write(text)
    os.replace(f'{path}.new', path)


def remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def sleep_forever():
    while True:
        time.sleep(3600)


if __name__ == '__main__':
    main()
