/* A QEMU TCG plugin that counts the instructions a guest retires between two marker functions.
 *
 * Arguments (numbers are hexadecimal; the firmware runs on one core, without interrupts):
 *   begin=ADDRESS+BYTES  a region opens when this function returns
 *   end=ADDRESS+BYTES    and closes when this one is called
 *   node=ADDRESS+BYTES   optional: within a region, each call starts the next bucket of counts
 *   out=FILE             the result, renamed into place when QEMU exits
 *
 * The instructions of these three functions are never counted. They must neither call a function
 * nor loop back to their own start; the result of firmware that breaks this is marked as an error.
 *
 * Counting works on translation blocks: a block that starts always retires all its instructions,
 * because code under measurement takes no faults. Instructions that an IT block skips count, as
 * they take their cycle on a Cortex-M as well.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is used of QEMU's plugin interface, the same in versions 1 and 2. Distributions do not package its header. */
typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
typedef void (*on_translate)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*on_vcpu)(unsigned int, void *);
typedef void (*on_plugin)(qemu_plugin_id_t, void *);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, on_translate);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, on_vcpu, enum qemu_plugin_cb_flags, void *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, on_plugin, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
extern int qemu_plugin_version;
int qemu_plugin_install(qemu_plugin_id_t, const qemu_info_t *, int, char **);

int qemu_plugin_version = PLUGIN_INTERFACE;

enum { BEGIN, END, NODE, MARKERS, CODE = MARKERS };
static const char *const marker_names[MARKERS] = { "begin", "end", "node" };

typedef struct range {
    uint64_t address;
    uint64_t bytes; /* 0: not given */
} range;

typedef struct block {
    struct block *next;
    uint64_t address;
    uint64_t end;
    uint64_t instructions;
    uint64_t runs;
    uint64_t taken; /* how often control went elsewhere than to `end` */
    int kind;       /* the marker that it belongs to, or CODE */
    bool entry;     /* the first block of a marker */
} block;

static range markers[MARKERS];
static block *blocks;
static block *previous; /* the last block that ran, for branches taken; NULL: do not look at it */
static int inside = CODE;
static bool left_marker; /* whether something else has run since the marker was entered */
static bool counting;
static unsigned long region_count;
static uint64_t region_total;
static char *out_path;
static char *part_path;
static FILE *out;

/* Writes and resets the counts since the last bucket. */
static void write_bucket(void)
{
    fputs("bucket\n", out);
    for (block *b = blocks; b != NULL; b = b->next) {
        if (b->runs != 0) {
            region_total += b->runs * b->instructions;
            fprintf(out, "%" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", b->address,
                    b->end - b->address, b->instructions, b->runs, b->taken);
            b->runs = b->taken = 0;
        }
    }
}

/* Reacts to the first block of a marker function. */
static void enter_marker(int kind)
{
    if (kind == BEGIN) {
        if (counting) {
            fputs("error begin-inside-region\n", out);
        }
        fprintf(out, "region %lu\n", region_count++);
        region_total = 0;
        counting = true;
    } else if (counting) {
        write_bucket();
        if (kind == END) {
            fprintf(out, "end %" PRIu64 "\n", region_total);
            counting = false;
        }
    }
}

static void on_block(unsigned int cpu, void *data)
{
    block *b = data;
    (void)cpu;
    if (counting && previous != NULL && previous->end != b->address) {
        previous->taken++;
    }
    if (b->kind != CODE) {
        previous = NULL;
        bool still_inside = inside == b->kind && !left_marker;
        if (b->entry == still_inside) {
            fprintf(out, "error marker-calls-or-loops %s\n", marker_names[b->kind]);
        } else if (b->entry) {
            enter_marker(b->kind);
            inside = b->kind;
            left_marker = false;
        }
        return;
    }
    left_marker = true;
    if (counting) {
        b->runs++;
        previous = b;
    }
}

static int kind_of(uint64_t address)
{
    int kind = 0;
    while (kind < MARKERS && address - markers[kind].address >= markers[kind].bytes) {
        kind++;
    }
    return kind;
}

/* A block may be translated more than once; its counts go to one record. */
static block *record(uint64_t address, uint64_t end, uint64_t instructions)
{
    block *b = blocks;
    while (b != NULL && (b->address != address || b->end != end || b->instructions != instructions)) {
        b = b->next;
    }
    if (b == NULL && (b = calloc(1, sizeof *b)) != NULL) {
        b->address = address;
        b->end = end;
        b->instructions = instructions;
        b->kind = kind_of(address);
        b->entry = b->kind != CODE && address == markers[b->kind].address;
        b->next = blocks;
        blocks = b;
    }
    return b;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t count = qemu_plugin_tb_n_insns(tb);
    const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, count - 1);
    uint64_t end = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last);
    block *b = record(qemu_plugin_tb_vaddr(tb), end, count);
    (void)id;
    if (b == NULL) {
        abort();
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, b);
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    if (counting) {
        fputs("error region-left-open\n", out);
    }
    fprintf(out, "regions %lu\n", region_count);
    if (ferror(out) != 0 || fclose(out) != 0 || rename(part_path, out_path) != 0) {
        perror("tinsmith: writing the counts");
        remove(part_path);
    }
}

/* Reads KEY=ADDRESS+BYTES into its marker. */
static bool read_marker(const char *argument)
{
    for (int kind = 0; kind < MARKERS; kind++) {
        size_t length = strlen(marker_names[kind]);
        char *rest;
        if (strncmp(argument, marker_names[kind], length) == 0 && argument[length] == '=') {
            markers[kind].address = strtoull(argument + length + 1, &rest, 16);
            markers[kind].bytes = *rest == '+' ? strtoull(rest + 1, &rest, 16) : 0;
            return *rest == '\0' && markers[kind].bytes != 0;
        }
    }
    return false;
}

static bool open_output(const char *path)
{
    size_t bytes = strlen(path) + sizeof ".part";
    out_path = malloc(bytes);
    part_path = malloc(bytes);
    if (out_path == NULL || part_path == NULL) {
        return false;
    }
    snprintf(out_path, bytes, "%s", path);
    snprintf(part_path, bytes, "%s.part", path);
    out = fopen(part_path, "w");
    return out != NULL;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        bool good = strncmp(argv[i], "out=", 4) == 0 ? open_output(argv[i] + 4) : read_marker(argv[i]);
        if (!good) {
            fprintf(stderr, "tinsmith: bad counting argument: %s\n", argv[i]);
            return 1;
        }
    }
    if (out == NULL || markers[BEGIN].bytes == 0 || markers[END].bytes == 0) {
        fputs("tinsmith: counting needs begin=, end= and out=\n", stderr);
        return 1;
    }
    fputs("tinsmith-retired 1\n", out);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
    return 0;
}
