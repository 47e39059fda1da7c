/* Columns that grow row by row, and leave as Arrow arrays: doubles ("g") and string views ("vu"). */

#ifndef DRIFTD_ARROW_COLUMNS_H
#define DRIFTD_ARROW_COLUMNS_H

#include "arrow.h"
#include "json_strings.h"

enum { NUMBER, TEXT };
enum { INLINE = 12, VIEW = 16 };

/* One column as it grows. seen: the last row that had a value or null. */
struct column {
  int64_t kind, seen, nulls;
  uint8_t *valid;
  double *numbers;
  uint8_t *views, *bytes;
  int64_t used, room, sizes[1];
  const void *buffers[4];
};

static void free_column(struct column *column) {
  free(column->valid);
  free(column->numbers);
  free(column->views);
  free(column->bytes);
  free(column);
}

static bool make_column(struct column *column, int64_t kind, int64_t rows) {
  column->kind = kind;
  column->seen = -1;
  column->valid = calloc((size_t)rows / 8 + 1, 1);
  if (kind == NUMBER)
    column->numbers = calloc((size_t)rows, sizeof(double));
  else
    column->views = calloc((size_t)rows, VIEW);
  return column->valid != NULL && (kind == NUMBER ? (void *)column->numbers : (void *)column->views) != NULL;
}

static void release_array(struct ArrowArray *array) {
  free_column(array->private_data);
  array->release = NULL;
}

static void release_schema(struct ArrowSchema *schema) { schema->release = NULL; }

static void export_column(struct column *column, int64_t rows, struct ArrowArray *array,
                          struct ArrowSchema *schema) {
  const bool is_number = column->kind == NUMBER;
  int64_t buffers = 2;
  column->sizes[0] = column->used;
  column->buffers[0] = column->valid;
  column->buffers[1] = is_number ? (void *)column->numbers : (void *)column->views;
  if (column->used > 0)
    column->buffers[buffers++] = column->bytes;
  if (!is_number)
    column->buffers[buffers++] = column->sizes; /* of the buffers of bytes: one or none */
  *array = (struct ArrowArray){.length = rows,
                               .null_count = rows + column->nulls,
                               .n_buffers = buffers,
                               .buffers = column->buffers,
                               .release = release_array,
                               .private_data = column};
  *schema = (struct ArrowSchema){
      .format = is_number ? "g" : "vu", .name = "", .flags = 2, .release = release_schema};
}

static bool reserve(struct column *column, int64_t more) {
  if (column->used + more <= column->room)
    return true;
  const int64_t room = 2 * column->room + more + 4096;
  uint8_t *bytes = realloc(column->bytes, (size_t)room);
  if (bytes == NULL)
    return false;
  column->bytes = bytes;
  column->room = room;
  return true;
}

static inline void put_view(struct column *column, int64_t row, const uint8_t *bytes, int64_t size,
                            int64_t offset) {
  uint32_t view[4] = {(uint32_t)size, 0, 0, 0};
  if (size <= INLINE)
    memcpy(view + 1, bytes, (size_t)size);
  else {
    memcpy(view + 1, bytes, sizeof view[1]);
    view[3] = (uint32_t)offset; /* in buffer 0 */
  }
  memcpy(column->views + row * (int64_t)sizeof view, view, sizeof view);
}

static inline bool put_text(struct column *column, int64_t row, text from, int64_t size) {
  const int64_t offset = column->used;
  if (size > INLINE) {
    if (!reserve(column, size))
      return false;
    memcpy(column->bytes + offset, from, (size_t)size);
    column->used += size;
  }
  put_view(column, row, from, size, offset);
  return true;
}

/* Put a string with escapes; `at` follows its opening quote. Returns what follows the closing one. */
static text put_escaped(struct column *column, int64_t row, text at, text words) {
  text end = skip_string(at, words);
  if (end == NULL || !reserve(column, end - at))
    return NULL;
  uint8_t *begin = column->bytes + column->used;
  const int64_t size = unescaped(at, end - 1 - at, begin, words);
  put_view(column, row, begin, size, column->used);
  if (size > INLINE)
    column->used += size;
  return end;
}

static inline void set_valid(struct column *column, int64_t row) {
  column->valid[row >> 3] |= (uint8_t)(1 << (row & 7));
  column->nulls--;
}

#endif
