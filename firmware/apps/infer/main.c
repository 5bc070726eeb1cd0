/* Runs a compiled model on the samples of a request and answers with its outputs.
 *
 * The build names the model: TIN_MODEL_HEADER (its header, quoted), TIN_MODEL (its description),
 * TIN_MODEL_MEMORIES (how many) and TIN_MODEL_MEMORY_BYTES (of all, the arena among them); for a model that takes its
 * input row by row also TIN_MODEL_FED_BYTES, the bytes of all rows. All numbers of the protocol are little-endian u32:
 *
 *   request    magic, flags, samples, bytes of all inputs of one sample; then for each sample the
 *              inputs' bytes in the model's order
 *   response   magic, bytes of all outputs, bytes of all memories, nodes; then for each sample, if traced, all
 *              memories after each call of a kernel, and the outputs' bytes; at the end magic, status of the
 *              last run, most stack bytes that a run used
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "port.h" /* before tin.h, whose hooks it defines */

#include "tin.h"

#include TIN_MODEL_HEADER

#define REQUEST_MAGIC 0x714e4954u  /* "TINq" */
#define RESPONSE_MAGIC 0x724e4954u /* "TINr" */
#define FLAG_TRACE 1u

#define GUARD_BYTES 20u

/* All memories, a guard in front of each and one behind the last. They are aligned as little as models may expect (4,
 * not 8), and nothing lies between them and their guards. */
static uint8_t room[TIN_MODEL_MEMORY_BYTES + (TIN_MODEL_MEMORIES + 1) * GUARD_BYTES] TIN_ALIGNED(8);

static struct {
    uint8_t *start;
    uint32_t bytes;
} memories[TIN_MODEL_MEMORIES];

static uint32_t flags;
static int computed; /* whether a kernel has run since the arena was last traced */

#ifdef TIN_MODEL_FED_BYTES
/* The camera's part: a whole sample, and the row that must be asked for next. */
static struct {
    uint8_t data[TIN_MODEL_FED_BYTES];
    int32_t next;
} fed TIN_ALIGNED(4);
#endif

void tin_count_begin(void);
void tin_count_end(void);

/* Markers around a run for whoever counts instructions from outside. */
__attribute__((noinline)) void tin_count_begin(void)
{
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void tin_count_end(void)
{
    __asm__ volatile("" ::: "memory");
}

__attribute__((noreturn)) static void fail(const char *kind, const char *text)
{
    const port_fault_info fault = {kind, text, 0, 0, 0};
    port_fault(&fault);
}

/* No two neighbouring guard bytes are equal, so a run of any one value is noticed. */
static uint8_t guard_byte(uint32_t index)
{
    return (uint8_t)(0xa5u + 29u * index);
}

static uint8_t *guard_before(uint32_t memory)
{
    return memory < TIN_MODEL_MEMORIES ? memories[memory].start - GUARD_BYTES : room + sizeof room - GUARD_BYTES;
}

static void check_guards(void)
{
    for (uint32_t m = TIN_MODEL_MEMORIES + 1; m-- > 0;)
        for (uint32_t i = 0; i < GUARD_BYTES; i++)
            if (guard_before(m)[i] != guard_byte(i))
                fail("guard", m > 0 ? "bytes behind the arena were overwritten"
                                    : "bytes in front of the arena were overwritten");
}

/* Writes all memories as the last call of a kernel left them. */
static void trace(void)
{
    for (uint32_t m = 0; m < TIN_MODEL_MEMORIES && flags & FLAG_TRACE && computed; m++)
        port_write(memories[m].start, memories[m].bytes);
    computed = 0;
}

/* Shares out the room. */
static void lay_out(const tin_model *model)
{
    uint8_t *at = room + GUARD_BYTES;
    for (uint32_t m = 0; m < TIN_MODEL_MEMORIES; m++) {
        memories[m].start = at;
        memories[m].bytes = m == 0 ? model->arena_bytes : model->memories[m - 1].bytes;
        at += memories[m].bytes + GUARD_BYTES;
    }
    if (model->memory_count + 1 != TIN_MODEL_MEMORIES || at != room + sizeof room)
        fail("protocol", "the build does not know what memories the model has");
    for (uint32_t m = 0; m <= TIN_MODEL_MEMORIES; m++)
        for (uint32_t i = 0; i < GUARD_BYTES; i++)
            guard_before(m)[i] = guard_byte(i);
}

/* Where an input or output lies. */
static uint8_t *bytes_of(const tin_tensor_info *tensor)
{
    return memories[tensor->offset / TIN_MEMORY_SPAN].start + tensor->offset % TIN_MEMORY_SPAN;
}

/* A guard is checked before the next node's index is stored, so that a report names the culprit. */
__attribute__((noinline)) void tin_on_node(int index)
{
#ifdef PORT_ASSERT
    check_guards();
#endif
    if (flags & FLAG_TRACE) { /* counted builds must not jump back and forth in here */
        trace();
        computed = 1; /* as soon as this function returns */
    }
    tin_node = index;
}

static void read_exactly(void *data, uint32_t bytes)
{
    if (port_read(data, bytes) != bytes)
        fail("protocol", "the request ends early");
}

static uint32_t total_bytes(const tin_tensor_info *tensors, uint32_t count)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += tensors[i].bytes;
    return bytes;
}

#ifdef TIN_MODEL_FED_BYTES
/* Gives a row to the model. What that takes is the source's, and is not counted. */
static void feed(void *context, int32_t row, void *to)
{
    const uint32_t bytes = TIN_MODEL_FED_BYTES / TIN_MODEL.input_rows;
    const uint8_t *const from = fed.data + (uint32_t)row * bytes;
    tin_count_end();
    trace();
    if (context != &fed || row != fed.next++ || (uint32_t)row >= TIN_MODEL.input_rows)
        fail("feed", "the model did not ask for the rows of its input in order");
    for (uint32_t i = 0; i < bytes; i++)
        ((uint8_t *)to)[i] = from[i];
    tin_count_begin();
}
#endif

static tin_status call_model(const tin_model *model)
{
#ifdef TIN_MODEL_FED_BYTES
    fed.next = 0;
    return model->run_rows(memories[0].start, memories[0].bytes, feed, &fed);
#else
    return model->run(memories[0].start, memories[0].bytes);
#endif
}

/* Runs the model once and returns its status. What it used of the stack goes to *worst. */
static tin_status measured_run(const tin_model *model, uint32_t *worst)
{
    tin_status status;
    uint32_t used;
    port_stack_paint();
    tin_count_begin();
    status = call_model(model);
    tin_count_end();
    used = port_stack_used();
    if (used > *worst)
        *worst = used;
    return status;
}

static tin_status run_sample(const tin_model *model, uint32_t *worst)
{
    tin_status status;
    uint32_t noise = 1u + (uint32_t)tin_sample;
    /* A model must not depend on what a previous run left behind. */
    for (uint32_t m = 0; m < TIN_MODEL_MEMORIES; m++)
        for (uint32_t i = 0; i < memories[m].bytes; i++) {
            noise = noise * 1664525u + 1013904223u;
            memories[m].start[i] = (uint8_t)(noise >> 24);
        }
    for (uint32_t m = 1; m < TIN_MODEL_MEMORIES; m++)
        tin_attach(memories[0].start, m, memories[m].start);
#ifdef TIN_MODEL_FED_BYTES
    read_exactly(fed.data, sizeof fed.data);
#else
    for (uint32_t i = 0; i < model->input_count; i++)
        read_exactly(bytes_of(&model->inputs[i]), model->inputs[i].bytes);
#endif
    computed = 0;
    status = measured_run(model, worst);
    tin_node = -1;
    check_guards();
    if (status == TIN_OK)
        for (uint32_t i = 0; i < model->output_count; i++)
            port_write(bytes_of(&model->outputs[i]), model->outputs[i].bytes);
    return status;
}

int main(void)
{
    const tin_model *const model = &TIN_MODEL;
    uint32_t request[4], header[4], trailer[3] = {RESPONSE_MAGIC, 0, 0};
    tin_status status = TIN_OK;

    port_init();
    lay_out(model);
    read_exactly(request, sizeof request);
    if (request[0] != REQUEST_MAGIC)
        fail("protocol", "the request does not start with its magic number");
    if (request[3] != total_bytes(model->inputs, model->input_count))
        fail("input-size", "a sample does not have as many bytes as the model's inputs");
    flags = request[1];
    header[0] = RESPONSE_MAGIC;
    header[1] = total_bytes(model->outputs, model->output_count);
    header[2] = TIN_MODEL_MEMORY_BYTES;
    header[3] = model->node_count;
    port_write(header, sizeof header);

    for (uint32_t i = 0; i < request[2] && status == TIN_OK; i++) {
        tin_sample = (int32_t)i;
        status = run_sample(model, &trailer[2]);
    }
    trailer[1] = (uint32_t)status;
    port_write(trailer, sizeof trailer);
    return 0;
}
