/* XXH64 (seed 0) of strings, by its specification
   (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md). */

#include "views.h"

static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu, P3 = 0x165667B19E3779F9u,
                      P4 = 0x85EBCA77C2B2AE63u, P5 = 0x27D4EB2F165667C5u;

static inline uint64_t turned(uint64_t word, int by) { return word << by | word >> (64 - by); }

/* Words are read with the low byte first, whatever the machine. */
static inline uint64_t word_of(const uint8_t *at, int size) {
  uint64_t word = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  memcpy(&word, at, (size_t)size);
#else
  for (int i = size; i-- > 0;)
    word = word << 8 | at[i];
#endif
  return word;
}

static inline uint64_t rounded(uint64_t sum, uint64_t word) { return turned(sum + word * P2, 31) * P1; }

static inline uint64_t stripes(const uint8_t **at, const uint8_t *end) {
  uint64_t sums[4] = {P1 + P2, P2, 0, 0 - P1};
  for (; end - *at >= 32; *at += 32)
    for (int i = 0; i < 4; i++)
      sums[i] = rounded(sums[i], word_of(*at + 8 * i, 8));
  uint64_t hash = turned(sums[0], 1) + turned(sums[1], 7) + turned(sums[2], 12) + turned(sums[3], 18);
  for (int i = 0; i < 4; i++)
    hash = (hash ^ rounded(0, sums[i])) * P1 + P4;
  return hash;
}

static inline uint64_t xxh64(const uint8_t *at, uint64_t size) {
  const uint8_t *end = at + size;
  uint64_t hash = size >= 32 ? stripes(&at, end) : P5;
  hash += size;
  for (; end - at >= 8; at += 8)
    hash = turned(hash ^ rounded(0, word_of(at, 8)), 27) * P1 + P4;
  if (end - at >= 4) {
    hash = turned(hash ^ word_of(at, 4) * P1, 23) * P2 + P3;
    at += 4;
  }
  for (; at < end; at++)
    hash = turned(hash ^ *at * P5, 11) * P1;
  hash = (hash ^ hash >> 33) * P2;
  hash = (hash ^ hash >> 29) * P3;
  return hash ^ hash >> 32;
}

/* Write the hash of each of the column's `count` strings, and `missing` for null. Returns false where the
   stream gives something else. */
EXPORT bool driftd_text_hashes(struct ArrowArrayStream *column, uint64_t missing, uint64_t *hashes,
                               int64_t count);

bool driftd_text_hashes(struct ArrowArrayStream *column, uint64_t missing, uint64_t *hashes, int64_t count) {
  struct ArrowArray array;
  int64_t done = 0;
  if (!gives(column, VIEWS))
    return false;
  while (take_next(column, &array)) {
    const struct strings strings = strings_of(&array);
    for (int64_t row = 0; row < strings.count && done + row < count; row++) {
      const struct view *view = &strings.views[row];
      hashes[done + row] = is_valid(&strings, row) ? xxh64(bytes_of(&strings, view), view->size) : missing;
    }
    done += strings.count;
    array.release(&array);
  }
  return done == count;
}
