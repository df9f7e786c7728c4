/* What a daemon may say to a child: the real mains of worker and match with the input as their stdin. The first byte
 * chooses the child. The working folder holds "net.safetensors", "suite.mask" and "suite.csv", so that a
 * command can name files that are there; a child's answers go nowhere. */
#include "tests/fuzz/fuzz.h"

#include "daemon/process/process.h"
#include "trainer/net/net.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int __wrap_process_open(struct process *process, char *argv[], struct error *err);
int __wrap_process_open(struct process *process, char *argv[], struct error *err)
{
    (void)argv;
    (void)err;
    *process = (struct process){.signals = -1};
    return 0;
}

/* Allocations that a command asks for may be refused: that is one of the answers. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=256";
}

static void prepare(void)
{
    static const char mask[] = "4444 0 1111111\n";
    static const char csv[] = "moves,value\n44,D\n";
    struct net_arch arch = {.blocks = 1, .filters = 2, .value_filters = 1, .value_hidden = 2};
    struct error err = {.text = ""};

    (void)fuzz_file("suite.mask", (const uint8_t *)mask, sizeof(mask) - 1);
    (void)fuzz_file("suite.csv", (const uint8_t *)csv, sizeof(csv) - 1);
    FUZZ_CHECK(chdir(fuzz_folder()) == 0);
    (void)snprintf(arch.game, sizeof(arch.game), "connect4");
    FUZZ_CHECK(net_arch_for_game(&arch, game_find("connect4"), &err) == 0);
    struct net *net = net_create(&arch);
    FUZZ_CHECK(net != NULL);
    net_init(net, 1);
    FUZZ_CHECK(net_save(net, "net.safetensors", NULL, &err) == 0);
    net_destroy(net);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    FUZZ_CHECK(nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) == STDOUT_FILENO);
    (void)close(nowhere);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool prepared;
    char *argv[] = {(char[]){"qzd"}, NULL};

    if (size == 0) {
        return 0;
    }
    if (!prepared) {
        prepare();
        prepared = true;
    }
    int fd = memfd_create("commands", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && (size == 1 || write(fd, data + 1, size - 1) == (ssize_t)(size - 1)));
    FUZZ_CHECK(lseek(fd, 0, SEEK_SET) == 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    (void)close(fd);
    if ((data[0] & 1) != 0) {
        (void)process_match_main(argv);
    } else {
        (void)process_worker_main(argv);
    }
    return 0;
}
