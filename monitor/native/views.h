/* Strings as Arrow string views ("vu"): up to twelve bytes lie in the view itself. */

#ifndef DRIFTD_VIEWS_H
#define DRIFTD_VIEWS_H

#include "arrow.h"
#include "driftd.h"

enum { INLINE = 12 };
#define VIEWS "vu"

struct view {
  uint32_t size;
  union {
    uint8_t bytes[INLINE];
    struct {
      uint32_t prefix, buffer, offset;
    } far;
  } at;
};

/* The strings of one array. */
struct strings {
  const struct view *views;
  const uint8_t *valid;
  const void *const *buffers; /* of bytes */
  int64_t offset, count;
};

static struct strings strings_of(const struct ArrowArray *array) {
  return (struct strings){.views = (const struct view *)array->buffers[1] + array->offset,
                          .valid = array->null_count == 0 ? NULL : array->buffers[0],
                          .buffers = (const void *const *)array->buffers + 2,
                          .offset = array->offset,
                          .count = array->length};
}

static inline bool is_valid(const struct strings *strings, int64_t row) {
  const int64_t bit = row + strings->offset;
  return strings->valid == NULL || (strings->valid[bit >> 3] >> (bit & 7) & 1);
}

static inline const uint8_t *bytes_of(const struct strings *strings, const struct view *view) {
  return view->size <= INLINE ? view->at.bytes
                              : (const uint8_t *)strings->buffers[view->at.far.buffer] + view->at.far.offset;
}

#endif
