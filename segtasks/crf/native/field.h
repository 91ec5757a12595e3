// The mean field of a dense CRF over one window (Kraehenbuehl & Koltun 2011,
// https://arxiv.org/abs/1210.5644, Algorithm 1), as C sees it. See build.py.
#pragma once

#include <cstdint>

extern "C" {

typedef struct segtasks_field segtasks_field;

enum { SEGTASKS_OK, SEGTASKS_NO_MEMORY, SEGTASKS_BAD_FEATURES, SEGTASKS_TOO_LARGE };

int segtasks_field_new(int64_t pixels, int classes, const float* x, const float* y,
                       int plain, segtasks_field** made);
void segtasks_field_free(segtasks_field* field);
int segtasks_field_add(segtasks_field* field, const float* features, int dimensions,
                       const float* compatibility);
int segtasks_field_start(segtasks_field* field, const float* unary);
void segtasks_field_step(segtasks_field* field, const float* unary);
void segtasks_field_finish(segtasks_field* field, const float* unary, float* marginals);
}
