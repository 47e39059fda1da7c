/* Sorting words by radix, from the lowest digit up: what it takes does not depend on their order. */

#include "driftd.h"

enum { DIGIT = 11, VALUES = 1 << DIGIT, PASSES = (64 + DIGIT - 1) / DIGIT };

static inline uint64_t digit_of(uint64_t word, int pass) { return word >> (pass * DIGIT) & (VALUES - 1); }

/* Sort `count` words ascending; room: for as many. */
EXPORT void driftd_sort(uint64_t *words, uint64_t *room, int64_t count);

void driftd_sort(uint64_t *words, uint64_t *room, int64_t count) {
  int64_t places[PASSES][VALUES] = {0};
  uint64_t *from = words, *to = room;
  for (int64_t i = 0; i < count; i++)
    for (int pass = 0; pass < PASSES; pass++)
      places[pass][digit_of(words[i], pass)]++;
  for (int pass = 0; pass < PASSES; pass++) {
    int64_t *place = places[pass], before = 0;
    if (count > 0 && place[digit_of(from[0], pass)] == count)
      continue; /* all have the same digit here */
    for (int value = 0; value < VALUES; value++) {
      const int64_t own = place[value];
      place[value] = before;
      before += own;
    }
    for (int64_t i = 0; i < count; i++)
      to[place[digit_of(from[i], pass)]++] = from[i];
    uint64_t *done = to;
    to = from;
    from = done;
  }
  if (from != words)
    memcpy(words, from, (size_t)count * sizeof *words);
}
