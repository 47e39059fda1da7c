/* What every source of the native library begins with. */
#ifndef DRIFTD_H
#define DRIFTD_H

#include <float.h>

/* Only what is marked is seen from Python. */
#define DRIFTD_API __attribute__((visibility("default")))

/* Doubles are computed as doubles: anything else could not give what NumPy gives, and is better not built. */
_Static_assert(FLT_EVAL_METHOD == 0, "this platform computes doubles with another precision");

#endif
