/* Tinsmith core: the public interface of a compiled model.
 *
 * A compiled model (NAME.h, NAME.c) keeps its weights and every parameter in flash and works in one
 * arena that the caller provides. Nothing is allocated, parsed or planned on the device, and no
 * function here or in a generated model keeps state of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_H
#define TIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the interface between generated code and the core. Generated files refuse to compile
 * against another major version. */
#define TIN_API_VERSION 3

/* Results. Zero is success and errors are negative, so `if (status < 0)` catches them all. */
typedef enum tin_status {
    TIN_OK = 0,
    TIN_ERR_NULL = -1,      /* a required pointer is NULL */
    TIN_ERR_ARENA = -2,     /* the arena, or another memory, is smaller than the model needs */
    TIN_ERR_ALIGNMENT = -3  /* the arena, or another memory, is not aligned to TIN_ARENA_ALIGN */
} tin_status;

/* Alignment that every arena needs, in bytes: floats and 32-bit accumulators live in it. */
#define TIN_ARENA_ALIGN 4

#if defined(__GNUC__)
#define TIN_ALIGNED(bytes) __attribute__((aligned(bytes)))
#else
#define TIN_ALIGNED(bytes)
#endif

/* Defines a correctly aligned arena: TIN_ARENA(arena, KWS_ARENA_BYTES); */
#define TIN_ARENA(name, bytes) TIN_ALIGNED(TIN_ARENA_ALIGN) uint8_t name[bytes]

/* A model may work in several memories. The arena is the first; it begins with the addresses of the others, which
 * NAME_open writes there: memory `number`, from 1 on, has a field of so many bytes. */
#define TIN_ADDRESS_BYTES 8
#define TIN_MEMORY_SPAN (1ul << 28) /* places from number * TIN_MEMORY_SPAN on lie in memory `number` */

static inline void tin_attach(void *arena, uint32_t number, void *memory)
{
    memcpy((uint8_t *)arena + (number - 1) * TIN_ADDRESS_BYTES, &memory, sizeof memory);
}

/* Called with the index of the node that is about to run, and with the number of nodes at the end.
 * Empty unless a build defines it: the emulator harness and the host library use it to report where
 * a fault happened, to count per node and to look at intermediate tensors. */
#ifndef TIN_ON_NODE
#define TIN_ON_NODE(index) ((void)0)
#endif

/* Keeps a function one of its own, so that analyses of the stack can name it. */
#if defined(__GNUC__)
#define TIN_OUTLINE __attribute__((noinline))
#else
#define TIN_OUTLINE
#endif

/* States what a kernel relies on. Empty unless a build defines it; the emulator harness does. */
#ifndef TIN_ASSERT
#define TIN_ASSERT(condition) ((void)0)
#endif

/* Element types of model inputs and outputs. */
typedef enum tin_type { TIN_INT8 = 1, TIN_UINT8 = 2, TIN_INT16 = 3, TIN_INT32 = 4, TIN_FLOAT32 = 5 } tin_type;

/* Writes row `row` of a model's input to `to`, all of its bytes. Called by models that take their input row by
 * row: for each row in rising order, from row 0 to the last one that the model needs. `to` lies in the arena and
 * is aligned as the elements are; what a row holds is not kept, so the model asks for each row once a run. */
typedef void tin_row_source(void *context, int32_t row, void *to);

/* One input or output of a model: real = scale * (quantized - zero_point). Scale is 0 where the
 * tensor is not quantized. */
typedef struct tin_tensor_info {
    const char *name;
    uint32_t offset;    /* bytes from the start of the arena; 0 for an input that comes row by row; for a further memory,
                         * bytes from its start + its number * TIN_MEMORY_SPAN */
    uint32_t bytes;     /* size of the whole tensor */
    tin_type type;
    int32_t rank;
    int32_t shape[6];   /* the first `rank` entries count */
    float scale;
    int32_t zero_point;
} tin_tensor_info;

/* A memory that a model needs beside the arena. */
typedef struct tin_memory_info {
    const char *name;
    uint32_t bytes;
} tin_memory_info;

/* A description of a compiled model for code that handles any model, such as test harnesses.
 * Firmware that knows its model does not need it, and the linker then drops it. */
typedef struct tin_model {
    const char *name;
    uint32_t arena_bytes;
    uint32_t node_count;
    uint32_t input_count;
    uint32_t output_count;
    const tin_tensor_info *inputs;
    const tin_tensor_info *outputs;
    tin_status (*run)(void *arena, size_t arena_bytes); /* check the arena, run all nodes once */
    /* Of a model that takes its input row by row, else 0 and NULL; `run` is NULL then. */
    uint32_t input_rows;
    tin_status (*run_rows)(void *arena, size_t arena_bytes, tin_row_source *source, void *context);
    /* Memories beside the arena: 0 and NULL of most models. tin_attach must have told the arena where they are before
     * `run` or `run_rows` is called. */
    uint32_t memory_count;
    const tin_memory_info *memories;
} tin_model;

#ifdef __cplusplus
}
#endif
#endif /* TIN_H */
