/* Which of a list of categories each string is. Strings come as Arrow string views ("vu"): most categories are
   at most twelve bytes long and lie in the view itself, so that two words are all there is to compare. */

#include "views.h"

enum { UNKNOWN = -2, MISSING = -1, FREE = -1 };

/* Open addressing over the categories; a power of two, at least twice as many places as categories. */
struct places {
  int32_t *category;
  uint64_t mask;
};

/* Any bit of the words reaches the low bits. */
static inline uint64_t mixed(uint64_t first, uint64_t second) {
  uint64_t hash = first * 0x9E3779B97F4A7C15u ^ second * 0xD6E8FEB86659FD93u;
  hash = (hash ^ hash >> 32) * 0xD6E8FEB86659FD93u;
  return hash ^ hash >> 32;
}

/* Of a long string size, beginning and end are hashed. What an inline view does not use is zero. */
static inline uint64_t hash_of(const struct strings *strings, const struct view *view) {
  uint64_t words[2];
  memcpy(words, view, sizeof words);
  if (view->size > INLINE)
    memcpy(&words[1], bytes_of(strings, view) + view->size - sizeof words[1], sizeof words[1]);
  return mixed(words[0], words[1]);
}

static inline bool same(const struct strings *one, const struct view *left, const struct strings *other,
                        const struct view *right) {
  if (left->size <= INLINE) {
    uint64_t words[4];
    memcpy(words, left, sizeof *left);
    memcpy(words + 2, right, sizeof *right);
    return words[0] == words[2] && words[1] == words[3];
  }
  return left->size == right->size &&
         memcmp(bytes_of(one, left), bytes_of(other, right), left->size) == 0;
}

/* Return the place of a string among the categories: where it is, or the free place where it would be. */
static inline uint64_t place_of(const struct places *places, const struct strings *categories,
                                const struct strings *strings, const struct view *view) {
  uint64_t place = hash_of(strings, view) & places->mask;
  while (places->category[place] != FREE &&
         !same(strings, view, categories, &categories->views[places->category[place]]))
    place = (place + 1) & places->mask;
  return place;
}

static bool make_places(struct places *places, const struct strings *categories) {
  uint64_t size = 16;
  while (size < 2 * (uint64_t)categories->count)
    size *= 2;
  places->mask = size - 1;
  places->category = malloc(size * sizeof *places->category);
  if (places->category == NULL)
    return false;
  memset(places->category, 0xFF, size * sizeof *places->category);
  for (int64_t i = 0; i < categories->count; i++) {
    const uint64_t place = place_of(places, categories, categories, &categories->views[i]);
    places->category[place] = (int32_t)i;
  }
  return true;
}

static void look_up(const struct places *places, const struct strings *categories,
                    const struct strings *strings, int32_t *codes) {
  for (int64_t row = 0; row < strings->count; row++) {
    if (!is_valid(strings, row)) {
      codes[row] = MISSING; /* what its view holds counts for nothing */
      continue;
    }
    const uint64_t place = place_of(places, categories, strings, &strings->views[row]);
    codes[row] = places->category[place] == FREE ? UNKNOWN : places->category[place];
  }
}

/* Look up each array of the column; false where these are not `count` strings in all. */
static bool look_up_all(const struct places *places, const struct strings *categories,
                        struct ArrowArrayStream *column, int32_t *codes, int64_t count) {
  struct ArrowArray array;
  int64_t done = 0;
  while (take_next(column, &array)) {
    const struct strings strings = strings_of(&array);
    if (strings.count <= count - done)
      look_up(places, categories, &strings, codes + done);
    done += strings.count;
    array.release(&array);
  }
  return done == count;
}

/* Write the place of each of the column's `count` strings in a list of categories into codes: MISSING for
   null, UNKNOWN for what is not in it. Both streams give string views, that of the list one array; those of
   the list are distinct, and none is null. Returns false where a stream gives something else or memory is
   short. */
EXPORT bool driftd_category_codes(struct ArrowArrayStream *list, struct ArrowArrayStream *column,
                                  int32_t *codes, int64_t count);

bool driftd_category_codes(struct ArrowArrayStream *list, struct ArrowArrayStream *column, int32_t *codes,
                           int64_t count) {
  struct ArrowArray listed;
  if (!gives(list, VIEWS) || !gives(column, VIEWS) || !take_next(list, &listed))
    return false;
  const struct strings categories = strings_of(&listed);
  struct places places;
  const bool done = make_places(&places, &categories) && look_up_all(&places, &categories, column, codes, count);
  free(places.category);
  listed.release(&listed);
  return done;
}
