/* Runs one of several compiled models on the samples of standard input, in an arena of exactly the size
 * that the model asks for, so that the address sanitizer sees the first byte beyond it.
 *
 * Input: the number of samples (u32), then the bytes of all inputs of each. Output: those of all outputs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tin.h"

#include "models.h" /* models[], written by execute.py */

static int run_sample(const tin_model *model, uint8_t *arena)
{
    memset(arena, 0xee, model->arena_bytes); /* what an earlier run left must not matter */
    for (uint32_t i = 0; i < model->input_count; i++)
        if (fread(arena + model->inputs[i].offset, 1, model->inputs[i].bytes, stdin) != model->inputs[i].bytes)
            return 2;
    if (model->run(arena, model->arena_bytes) != TIN_OK)
        return 3;
    for (uint32_t i = 0; i < model->output_count; i++)
        fwrite(arena + model->outputs[i].offset, 1, model->outputs[i].bytes, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    const size_t number = argc > 1 ? (size_t)atoi(argv[1]) : 0;
    uint32_t samples = 0;
    int status = 0;
    if (number >= sizeof models / sizeof models[0] || fread(&samples, sizeof samples, 1, stdin) != 1)
        return 2;
    uint8_t *const arena = malloc(models[number]->arena_bytes);
    for (uint32_t i = 0; arena != NULL && i < samples && status == 0; i++)
        status = run_sample(models[number], arena);
    free(arena);
    return status;
}
