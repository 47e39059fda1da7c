/* What the kernels share. Everything is plain C11, knows nothing of Python, and keeps no state between calls. */

#ifndef DRIFTD_H
#define DRIFTD_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* The loops over numbers are compiled twice where the loader can choose: for any x86-64, and for AVX2. NARROW:
   once, for tools that do not follow the choice (gcc's analyser, the sanitizers). */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(NARROW)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* Where doubles are computed with another precision, nothing could give what NumPy gives: better not built. */
_Static_assert(FLT_EVAL_METHOD == 0, "this platform computes doubles with another precision");

#endif
