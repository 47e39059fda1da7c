/* Numbers by JSON's grammar, and the double nearest to each: rounded once, so that any parser that rounds
   correctly reads the same. */

#ifndef DRIFTD_JSON_NUMBERS_H
#define DRIFTD_JSON_NUMBERS_H

#include "json_words.h"

#include <locale.h>

enum { DIGITS = 19 }; /* of which a word of 64 bits holds any number */
typedef unsigned __int128 wide;

static const double TENS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { EXACT_TENS = 22 };
static const uint64_t EXACT = (uint64_t)1 << 53; /* integers up to it are doubles, as are TENS */

static const uint64_t WHOLE_TENS[] = {
    1u, 10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u,
    100000000u, 1000000000u, 10000000000u, 100000000000u, 1000000000000u,
    10000000000000u, 100000000000000u, 1000000000000000u, 10000000000000000u,
    100000000000000000u, 1000000000000000000u, 10000000000000000000u,
};

struct number {
  uint64_t digits; /* all digits as an integer; meaningless where there are more than DIGITS */
  int64_t count;   /* digits without leading zeros */
  int64_t power;   /* of ten, that the integer is multiplied by */
  bool negative, whole;
};

/* Read digits; returns where they end. Eight at a time where the machine stores the low byte first. */
static inline text read_digits(text at, text words, uint64_t *digits) {
  uint64_t found = *digits;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  while (at <= words) {
    uint64_t word = word_at(at);
    if (!eight_digits(word))
      break;
    word = (word & EACH(0x0F)) * 2561 >> 8; /* to pairs, to fours, to all eight */
    word = (word & 0x00FF00FF00FF00FFu) * 6553601 >> 16;
    found = found * 100000000u + ((word & 0x0000FFFF0000FFFFu) * 42949672960001u >> 32);
    at += sizeof word;
  }
#else
  (void)words;
#endif
  for (; is_digit(*at); at++)
    found = found * 10 + (uint64_t)(*at - '0');
  *digits = found;
  return at;
}

/* Read a number by JSON's grammar; NULL where it is none. */
static inline text read_number(text at, text words, struct number *number) {
  number->negative = *at == '-';
  at += number->negative;
  text first = at;
  number->digits = 0;
  number->power = 0;
  number->whole = true;
  if (*at == '0')
    at++;
  else if (is_digit(*at))
    at = read_digits(at, words, &number->digits);
  else
    return NULL;
  if (is_digit(*at)) /* 01 */
    return NULL;
  number->count = *first == '0' ? 0 : at - first;
  if (*at == '.') {
    text point = ++at;
    if (!is_digit(*at))
      return NULL;
    if (number->count == 0)
      while (*at == '0')
        at++;
    text counted = at;
    at = read_digits(at, words, &number->digits);
    number->count += at - counted;
    number->power = point - at;
    number->whole = false;
  }
  if (*at == 'e' || *at == 'E') {
    at++;
    const bool minus = *at == '-';
    at += minus || *at == '+';
    text counted = at;
    int64_t exponent = 0;
    for (; is_digit(*at) && at - counted < 4; at++)
      exponent = exponent * 10 + (*at - '0');
    if (at == counted || is_digit(*at))
      return NULL; /* none, or one of five digits */
    number->power += minus ? -exponent : exponent;
    number->whole = false;
  }
  return at;
}

/* Divide exactly: the quotient has more bits than a double, and its last bit says whether anything is left
   over, so that the conversion rounds the true value once. digits > 0, 0 < power <= 19. */
static double divided(uint64_t digits, int64_t power) {
  const uint64_t by = WHOLE_TENS[power];
  const int up = __builtin_clzll(digits), by_up = __builtin_clzll(by);
  const wide above = (wide)(digits << up) << 63;
  const uint64_t below = by << by_up, quotient = (uint64_t)(above / below);
  const double rounded = (double)(quotient | (above % below != 0));
  const uint64_t bits = (uint64_t)(1023 + by_up - up - 63) << 52;
  double scale;
  memcpy(&scale, &bits, sizeof scale);
  return rounded * scale;
}

/* Return the double nearest to the number; false where it has none that counts. */
static inline bool as_double(const struct number *number, text from, locale_t locale, double *found) {
  double value;
  if (number->whole && number->negative && number->count == 0)
    return false; /* -0, an integer to Polars */
  if (number->count == 0)
    value = 0.0;
  else if (number->count <= DIGITS && number->digits <= EXACT && labs(number->power) <= EXACT_TENS)
    value = number->power < 0 ? (double)number->digits / TENS[-number->power]
                              : (double)number->digits * TENS[number->power];
  else if (number->count <= DIGITS && number->power == 0)
    value = (double)number->digits;
  else if (number->count <= DIGITS && number->power < 0 && number->power >= -DIGITS)
    value = divided(number->digits, -number->power);
  else {
    value = fabs(strtod_l((const char *)from, NULL, locale));
    if (!(value - value == 0.0))
      return false;
  }
  *found = number->negative ? -value : value;
  return true;
}

#endif
