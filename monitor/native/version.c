/* Which sources the library was built from; monitor/native/library.py compares. */
#include "driftd.h"

EXPORT const char *driftd_native_sources(void);

const char *driftd_native_sources(void) {
  return DRIFTD_SOURCES;
}
