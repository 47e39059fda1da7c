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

/* Tell whether a stream gives arrays of this format. */
static inline bool gives(struct ArrowArrayStream *stream, const char *format) {
  struct ArrowSchema schema;
  memset(&schema, 0, sizeof schema);
  if (stream->get_schema(stream, &schema) != 0 || schema.release == NULL)
    return false;
  const bool same = strcmp(schema.format, format) == 0 && schema.dictionary == NULL;
  schema.release(&schema);
  return same;
}

/* Take a stream's next array, to be released by the caller; false at its end, and where it fails. */
static inline bool take_next(struct ArrowArrayStream *stream, struct ArrowArray *array) {
  memset(array, 0, sizeof *array);
  return stream->get_next(stream, array) == 0 && array->release != NULL;
}

#endif
