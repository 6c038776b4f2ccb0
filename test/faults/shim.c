/*
 * Stands between the program and libc (LD_PRELOAD), and makes one system call that changes something below FAULTS_ROOT go wrong.
 *
 *   FAULTS_TRACE  a file that gets a line for each such call: OP<tab>PATH, the path as the guest has it, an UUID in it as a star
 *   FAULTS_AT     OP<tab>PATH<tab>NTH: which call; counted for each OP and PATH, since logs are written whenever they are ready
 *   FAULTS_DO     kill: the process ends before the call; half: it ends when half of the bytes are written; else an error number
 *   FAULTS_OPS    "open write …": these calls have that error from then on as well
 *   FAULTS_KEPT   a folder that gets a second name for every file that is put in place by a rename
 *
 * The program gives its children an environment of its own, so that they know nothing of this.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int seen, begun;

static void *real(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) abort();
  return found;
}

static const char *setting(const char *name) {
  const char *text = getenv(name);
  return text ? text : "";
}

static void normalize(const char *inside, char *out) {
  static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  while (*inside) {
    size_t at = 0;
    while (form[at] && (form[at] == '-' ? inside[at] == '-' : strchr("0123456789abcdef", inside[at] ? inside[at] : 'x') != NULL)) at++;
    if (form[at]) *out++ = *inside++;
    else *out++ = '*', inside += at;
  }
  *out = 0;
}

static int lists(const char *words, const char *word) {
  size_t length = strlen(word);
  for (const char *at = words; (at = strstr(at, word)); at += length)
    if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0)) return 1;
  return 0;
}

static void die(void) {
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

static void trace(const char *op, const char *path) {
  const char *file = setting("FAULTS_TRACE");
  if (!*file) return;
  char line[2 * PATH_MAX];
  int length = snprintf(line, sizeof line, "%s\t%s\n", op, path);
  int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || syscall(SYS_write, fd, line, length) != length) abort();
  syscall(SYS_close, fd);
}

/* What is to become of this call: 0 nothing, -1 half of it and then the end, else an error number. */
static int fate(const char *op, const char *path) {
  const char *root = setting("FAULTS_ROOT");
  size_t length = strlen(root);
  if (!length || strncmp(path, root, length) || (path[length] && path[length] != '/')) return 0;
  char inside[PATH_MAX], at[2 * PATH_MAX];
  normalize(path[length] ? path + length : "/", inside);
  const char *what = setting("FAULTS_DO"), *wanted = setting("FAULTS_AT");
  size_t named = (size_t)snprintf(at, sizeof at, "%s\t%s\t", op, inside);
  pthread_mutex_lock(&mutex);
  trace(op, inside);
  int hit = !strncmp(wanted, at, named) && ++seen == atoi(wanted + named);
  begun |= hit;
  int over = begun && (hit || lists(setting("FAULTS_OPS"), op));
  if (over && !strcmp(what, "kill")) die();
  pthread_mutex_unlock(&mutex);
  return !over ? 0 : !strcmp(what, "half") ? -1 : atoi(what);
}

static const char *of_descriptor(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length > 0 ? length : 0] = 0;
  return path;
}

static const char *of_path(int folder, const char *given, char *path) {
  if (*given == '/') return given;
  char above[PATH_MAX];
  if (folder == AT_FDCWD) {
    if (!getcwd(above, sizeof above)) return "";
  } else {
    of_descriptor(folder, above);
  }
  if (snprintf(path, PATH_MAX, "%s/%s", above, given) >= PATH_MAX) abort();
  return path;
}

#define FAIL_AT(op, folder, given) \
  do { \
    char buffer_[PATH_MAX]; \
    int fate_ = fate(op, of_path(folder, given, buffer_)); \
    if (fate_ > 0) { errno = fate_; return -1; } \
  } while (0)

#define FAIL_ON(op, fd) \
  do { \
    char buffer_[PATH_MAX]; \
    int fate_ = fate(op, of_descriptor(fd, buffer_)); \
    if (fate_ > 0) { errno = fate_; return -1; } \
  } while (0)

static int changes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)); }

static void keep(int folder, const char *path, int number) {
  const char *kept = setting("FAULTS_KEPT");
  if (!*kept) return;
  char name[PATH_MAX];
  snprintf(name, sizeof name, "%s/%d-%d", kept, getpid(), number);
  (void)syscall(SYS_linkat, folder, path, AT_FDCWD, name, 0);
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    if (changes(flags)) FAIL_AT("open", AT_FDCWD, path); \
    return ((int (*)(const char *, int, ...))real(#name))(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
  int name(int folder, const char *path, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    if (changes(flags)) FAIL_AT("open", folder, path); \
    return ((int (*)(int, const char *, int, ...))real(#name))(folder, path, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)

/* Half of the bytes by the plain call: where they go does not matter any more. */
static int write_fate(int fd, const void *bytes, size_t count) {
  char path[PATH_MAX];
  int what = fate("write", of_descriptor(fd, path));
  if (what >= 0) return what;
  if (syscall(SYS_write, fd, bytes, count / 2) < 0) abort();
  die();
  return 0;
}

#define WRITE(bytes, count) \
  do { \
    int fate_ = write_fate(fd, bytes, count); \
    if (fate_ > 0) { errno = fate_; return -1; } \
  } while (0)

ssize_t write(int fd, const void *bytes, size_t count) {
  WRITE(bytes, count);
  return REAL(write)(fd, bytes, count);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  WRITE(bytes, count);
  return REAL(pwrite)(fd, bytes, count, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  WRITE(bytes, count);
  return REAL(pwrite64)(fd, bytes, count, offset);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  WRITE(parts[0].iov_base, parts[0].iov_len);
  return REAL(writev)(fd, parts, count);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  WRITE(parts[0].iov_base, parts[0].iov_len);
  return REAL(pwritev)(fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  WRITE(parts[0].iov_base, parts[0].iov_len);
  return REAL(pwritev64)(fd, parts, count, offset);
}

/* How libuv copies; what it has no wrapper for it calls by number. */
ssize_t sendfile(int to, int from, off_t *offset, size_t count);
ssize_t sendfile(int to, int from, off_t *offset, size_t count) {
  FAIL_ON("copy", to);
  return REAL(sendfile)(to, from, offset, count);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t count);
ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) {
  FAIL_ON("copy", to);
  return REAL(sendfile64)(to, from, offset, count);
}
ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *offset, size_t count, unsigned flags) {
  FAIL_ON("copy", to);
  return REAL(copy_file_range)(from, at, to, offset, count, flags);
}
long syscall(long number, ...) {
  long a[6];
  va_list rest;
  va_start(rest, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_copy_file_range) FAIL_ON("copy", (int)a[2]);
  return ((long (*)(long, ...))real("syscall"))(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int fsync(int fd) {
  FAIL_ON("fsync", fd);
  return REAL(fsync)(fd);
}
int fdatasync(int fd) {
  FAIL_ON("fsync", fd);
  return REAL(fdatasync)(fd);
}
int ftruncate(int fd, off_t length) {
  FAIL_ON("truncate", fd);
  return REAL(ftruncate)(fd, length);
}
int ftruncate64(int fd, off64_t length) {
  FAIL_ON("truncate", fd);
  return REAL(ftruncate64)(fd, length);
}
int truncate(const char *path, off_t length) {
  FAIL_AT("truncate", AT_FDCWD, path);
  return REAL(truncate)(path, length);
}
int fchmod(int fd, mode_t mode) {
  FAIL_ON("chmod", fd);
  return REAL(fchmod)(fd, mode);
}
int chmod(const char *path, mode_t mode) {
  FAIL_AT("chmod", AT_FDCWD, path);
  return REAL(chmod)(path, mode);
}
int fchown(int fd, uid_t owner, gid_t group) {
  FAIL_ON("chown", fd);
  return REAL(fchown)(fd, owner, group);
}
int chown(const char *path, uid_t owner, gid_t group) {
  FAIL_AT("chown", AT_FDCWD, path);
  return REAL(chown)(path, owner, group);
}
int lchown(const char *path, uid_t owner, gid_t group) {
  FAIL_AT("chown", AT_FDCWD, path);
  return REAL(lchown)(path, owner, group);
}
int mkdir(const char *path, mode_t mode) {
  if (!faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW)) return REAL(mkdir)(path, mode); /* the kernel says EEXIST first */
  FAIL_AT("mkdir", AT_FDCWD, path);
  return REAL(mkdir)(path, mode);
}
int rmdir(const char *path) {
  FAIL_AT("rmdir", AT_FDCWD, path);
  return REAL(rmdir)(path);
}
int unlink(const char *path) {
  FAIL_AT("unlink", AT_FDCWD, path);
  return REAL(unlink)(path);
}
int unlinkat(int folder, const char *path, int flags) {
  FAIL_AT(flags & AT_REMOVEDIR ? "rmdir" : "unlink", folder, path);
  return REAL(unlinkat)(folder, path, flags);
}
int remove(const char *path) {
  FAIL_AT("unlink", AT_FDCWD, path);
  return REAL(remove)(path);
}
int rename(const char *from, const char *to) {
  static int number;
  FAIL_AT("rename", AT_FDCWD, to);
  keep(AT_FDCWD, from, __atomic_add_fetch(&number, 1, __ATOMIC_SEQ_CST));
  return REAL(rename)(from, to);
}
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
  FAIL_AT("rename", to_folder, to);
  return REAL(renameat)(from_folder, from, to_folder, to);
}
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
  FAIL_AT("rename", to_folder, to);
  return REAL(renameat2)(from_folder, from, to_folder, to, flags);
}
int link(const char *from, const char *to) {
  FAIL_AT("link", AT_FDCWD, to);
  return REAL(link)(from, to);
}
int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
  FAIL_AT("link", to_folder, to);
  return REAL(linkat)(from_folder, from, to_folder, to, flags);
}
int symlink(const char *target, const char *path) {
  FAIL_AT("symlink", AT_FDCWD, path);
  return REAL(symlink)(target, path);
}
int symlinkat(const char *target, int folder, const char *path) {
  FAIL_AT("symlink", folder, path);
  return REAL(symlinkat)(target, folder, path);
}
