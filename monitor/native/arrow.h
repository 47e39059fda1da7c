/* The structures of the Arrow C data and C stream interfaces, as their specifications lay them out
   (https://arrow.apache.org/docs/format/CDataInterface.html, CStreamInterface.html). */

#ifndef DRIFTD_ARROW_H
#define DRIFTD_ARROW_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct ArrowSchema {
  const char *format;
  const char *name;
  const char *metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema **children;
  struct ArrowSchema *dictionary;
  void (*release)(struct ArrowSchema *);
  void *private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void **buffers;
  struct ArrowArray **children;
  struct ArrowArray *dictionary;
  void (*release)(struct ArrowArray *);
  void *private_data;
};

struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *);
  int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *);
  const char *(*get_last_error)(struct ArrowArrayStream *);
  void (*release)(struct ArrowArrayStream *);
  void *private_data;
};

/* Take a stream's array, which must have so many rows, to be released by the caller; false: there is none. */
static inline bool take_one(struct ArrowArrayStream *stream, int64_t rows, struct ArrowArray *array) {
  memset(array, 0, sizeof *array);
  if (stream->get_next(stream, array) != 0 || array->release == NULL)
    return false;
  if (array->length != rows)
    array->release(array);
  return array->release != NULL;
}

#endif
