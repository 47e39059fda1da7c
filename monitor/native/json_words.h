/* Bytes and words of eight of them. */

#ifndef DRIFTD_JSON_WORDS_H
#define DRIFTD_JSON_WORDS_H

#include "driftd.h"

typedef const uint8_t *text;

#define EACH(byte) (UINT64_MAX / 255 * (byte)) /* a word of eight such bytes */

static inline bool is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }

static inline uint64_t word_at(text at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

static inline bool eight_digits(uint64_t word) {
  return ((word & EACH(0xF0)) | ((word + EACH(0x06)) & EACH(0xF0)) >> 4) == EACH(0x33);
}

/* Which bytes of a word are zero: exact for the first one, and that is all that is asked. */
static inline uint64_t zero_bytes(uint64_t word) { return (word - EACH(0x01)) & ~word & EACH(0x80); }

/* Tell whether the bytes are a key that was read before, quotes and all. */
static inline bool same(text at, text key, int64_t size, text words) {
  for (; size > 8 && at <= words; at += 8, key += 8, size -= 8)
    if (word_at(at) != word_at(key))
      return false;
  return strncmp((const char *)at, (const char *)key, (size_t)size) == 0;
}

static inline text skip_blanks(text at) {
  while (*at == ' ' || *at == '\t' || *at == '\r')
    at++;
  return at;
}

#endif
