/* Strings of JSON: where they end, and what their escapes stand for. */

#ifndef DRIFTD_JSON_STRINGS_H
#define DRIFTD_JSON_STRINGS_H

#include "json_words.h"

/* Find the end of a string's plain part: a quote, a backslash or a control character. */
static inline text plain_end(text at, text words) {
  while (at <= words) {
    const uint64_t word = word_at(at), control = (word - EACH(0x20)) & ~word & EACH(0x80);
    if (control | zero_bytes(word ^ EACH('"')) | zero_bytes(word ^ EACH('\\')))
      break;
    at += sizeof word;
  }
  while (*at >= 0x20 && *at != '"' && *at != '\\')
    at++;
  return at;
}

static int hex(uint8_t c) {
  if (is_digit(c))
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Read four hexadecimal digits; negative where there are none. */
static int32_t read_code(text at) {
  int32_t code = 0;
  for (int i = 0; i < 4; i++) {
    const int digit = hex(at[i]);
    if (digit < 0)
      return -1;
    code = code << 4 | digit;
  }
  return code;
}

static uint8_t *put_code(uint8_t *out, uint32_t code) {
  if (code < 0x80) {
    *out++ = (uint8_t)code;
  } else if (code < 0x800) {
    *out++ = (uint8_t)(0xC0 | code >> 6);
    *out++ = (uint8_t)(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *out++ = (uint8_t)(0xE0 | code >> 12);
    *out++ = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    *out++ = (uint8_t)(0x80 | (code & 0x3F));
  } else {
    *out++ = (uint8_t)(0xF0 | code >> 18);
    *out++ = (uint8_t)(0x80 | (code >> 12 & 0x3F));
    *out++ = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    *out++ = (uint8_t)(0x80 | (code & 0x3F));
  }
  return out;
}

/* Read what follows a backslash into out, if that is not NULL; NULL where it is no plain escape: half a
   surrogate pair and NUL are left to Polars. */
static text read_escape(text at, uint8_t **out) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  uint32_t code;
  if (*at == 'u') {
    const int32_t high = read_code(at + 1);
    if (high <= 0 || (high >= 0xDC00 && high < 0xE000))
      return NULL;
    code = (uint32_t)high;
    at += 5;
    if (high >= 0xD800 && high < 0xDC00) {
      const int32_t low = at[0] == '\\' && at[1] == 'u' ? read_code(at + 2) : -1;
      if (low < 0xDC00 || low >= 0xE000)
        return NULL;
      code = 0x10000 + ((code - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
      at += 6;
    }
  } else {
    const char *found = *at == 0 ? NULL : strchr(from, *at);
    if (found == NULL)
      return NULL;
    code = (uint8_t)to[found - from];
    at++;
  }
  if (out != NULL)
    *out = put_code(*out, code);
  return at;
}

/* Skip a string whose opening quote was read; returns what follows the closing one. */
static text skip_string(text at, text words) {
  for (;;) {
    at = plain_end(at, words);
    if (*at == '"')
      return at + 1;
    if (*at != '\\' || (at = read_escape(at + 1, NULL)) == NULL)
      return NULL;
  }
}

/* Write what the `size` bytes of a skipped string stand for; returns how many that are, never more. */
static int64_t unescaped(text at, int64_t size, uint8_t *out, text words) {
  uint8_t *begin = out;
  for (text end = at + size; at != NULL && at < end;) { /* a skipped string has no bad escape */
    text plain = plain_end(at, words);
    memcpy(out, at, (size_t)(plain - at));
    out += plain - at;
    at = plain < end ? read_escape(plain + 1, &out) : plain;
  }
  return out - begin;
}

#endif
