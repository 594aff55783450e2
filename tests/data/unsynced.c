/* What would be on disk if the power went now? Loaded before the C library: at every fsync of something below a directory, its
 * content goes into a second place; what was never synced is not there. Can also let the nth write or fsync fail.
 *
 * DHAKIRA_DISK_ROOT    the directory that is looked at
 * DHAKIRA_DISK_SHADOW  where what is durable goes: file-INODE-BIRTH with the content, dir-INODE-BIRTH with a line an entry
 * DHAKIRA_DISK_FAIL    "fsync N ERRNO" or "write N ERRNO": that call and all later ones of its kind fail
 * DHAKIRA_DISK_STOP    N: the process is killed before its Nth fsync
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long syncs, writes;

static ssize_t real_write(int fd, const void *bytes, size_t length)
{
    static ssize_t (*next)(int, const void *, size_t);
    if (!next)
        next = dlsym(RTLD_NEXT, "write");
    return next(fd, bytes, length);
}

static int below_root(int fd, char *path)
{
    const char *root = getenv("DHAKIRA_DISK_ROOT");
    char link[64];
    if (!root)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    size_t prefix = strlen(root);
    return strncmp(path, root, prefix) == 0 && (path[prefix] == 0 || path[prefix] == '/');
}

/* Whether a call is to fail, with errno set. */
static int fails(const char *kind, long number)
{
    const char *wanted = getenv("DHAKIRA_DISK_FAIL");
    char name[16];
    long from;
    int error;
    if (!wanted || sscanf(wanted, "%15s %ld %d", name, &from, &error) != 3)
        return 0;
    if (strcmp(name, kind) != 0 || number < from)
        return 0;
    errno = error;
    return 1;
}

static void identity(int fd, const char *name, char *out, size_t size, const char *kind)
{
    struct statx about;
    int flags = name[0] ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;
    if (statx(fd, name, flags, STATX_INO | STATX_BTIME, &about) != 0)
        memset(&about, 0, sizeof about);
    long long birth = about.stx_btime.tv_sec * 1000000000LL + about.stx_btime.tv_nsec;
    if (!(about.stx_mask & STATX_BTIME))
        birth = 0;
    snprintf(out, size, "%s-%llu-%lld", kind, (unsigned long long)about.stx_ino, birth);
}

static void keep(int fd, const char *path)
{
    const char *shadow = getenv("DHAKIRA_DISK_SHADOW");
    struct stat about;
    char name[128], temporary[PATH_MAX], final[PATH_MAX];
    if (!shadow || fstat(fd, &about) != 0)
        return;
    int is_directory = S_ISDIR(about.st_mode);
    identity(fd, "", name, sizeof name, is_directory ? "dir" : "file");
    snprintf(temporary, sizeof temporary, "%s/new", shadow);
    snprintf(final, sizeof final, "%s/%s", shadow, name);
    int out = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0)
        return;
    if (is_directory) {
        DIR *entries = opendir(path);
        struct dirent *entry;
        while (entries && (entry = readdir(entries))) {
            char line[NAME_MAX + 160], id[128];
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            const char *kind = entry->d_type == DT_DIR ? "dir" : "file";
            identity(dirfd(entries), entry->d_name, id, sizeof id, kind);
            snprintf(line, sizeof line, "%s %s\n", id, entry->d_name);
            if (real_write(out, line, strlen(line)) < 0)
                break;
        }
        if (entries)
            closedir(entries);
    } else {
        int in = open(path, O_RDONLY);
        static char buffer[1 << 20];
        ssize_t length;
        while (in >= 0 && (length = read(in, buffer, sizeof buffer)) > 0)
            if (real_write(out, buffer, length) != length)
                break;
        if (in >= 0)
            close(in);
    }
    close(out);
    rename(temporary, final);
}

static int sync_with(const char *symbol, int fd)
{
    char path[PATH_MAX];
    int (*next)(int) = dlsym(RTLD_NEXT, symbol);
    if (!below_root(fd, path))
        return next(fd);
    pthread_mutex_lock(&lock);
    const char *stop = getenv("DHAKIRA_DISK_STOP");
    if (++syncs == (stop ? atol(stop) : -1))
        kill(getpid(), SIGKILL);
    int failed = fails("fsync", syncs);
    int error = errno;
    /* Before the real one: everything that is kept was written before it. */
    if (!failed)
        keep(fd, path);
    pthread_mutex_unlock(&lock);
    if (failed) {
        errno = error;
        return -1;
    }
    return next(fd);
}

int fsync(int fd)
{
    return sync_with("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_with("fdatasync", fd);
}

static int write_fails(int fd)
{
    char path[PATH_MAX];
    if (!getenv("DHAKIRA_DISK_FAIL") || !below_root(fd, path))
        return 0;
    return fails("write", __atomic_add_fetch(&writes, 1, __ATOMIC_SEQ_CST));
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    return write_fails(fd) ? -1 : real_write(fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    if (!next)
        next = dlsym(RTLD_NEXT, "pwrite64");
    return write_fails(fd) ? -1 : next(fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    return pwrite64(fd, bytes, length, offset);
}
