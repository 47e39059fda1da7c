/* Plain JSON lines to Arrow columns. What is plain is defined narrowly: flat enough, well formed, every wanted
   value of the wanted type. The first line that is not ends the parse without a result; the caller then lets
   Polars judge the whole chunk. So this file decides on no line's fate, and reads a plain one as Polars does.

   Lines end with \n, and the byte behind the data must be readable and 0: no token of JSON holds either, so
   that reading byte by byte needs no look at the end. Only words of eight bytes do: up to `words` one fits. */

#include "arrow_columns.h"
#include "json_numbers.h"

enum { MOST_KEYS = 512, LONG_KEY = 1024, MOST_DEPTH = 16 };
enum { INT_DIGITS = 18, LONG_NUMBER = 30, LARGE_EXPONENT = 250 };
enum { NOT_PLAIN = -1, NO_MEMORY = -2 };

/* A wanted key: its bytes and what its values become. */
struct field {
  text key;
  int64_t size;
  int64_t kind;
};

/* The key that stood at this place of the line before, and its field (-1: not wanted). */
struct habit {
  text key;
  int64_t size, field;
};

struct parser {
  text words;
  const struct field *fields;
  int64_t field_count, row;
  struct column **columns;
  struct habit habits[MOST_KEYS];
  locale_t plain;
};

static inline text read_word(text at, const char *word, size_t size) {
  return strncmp((const char *)at, word, size) == 0 ? at + size : NULL;
}

/* Skip a value that nobody wants, as strictly as one that is wanted. */
static text skip_value(text at, text words, int depth) {
  struct number number;
  switch (*at) {
  case '"':
    return skip_string(at + 1, words);
  case 't':
    return read_word(at, "true", 4);
  case 'f':
    return read_word(at, "false", 5);
  case 'n':
    return read_word(at, "null", 4);
  case '[':
  case '{': {
    const bool is_object = *at == '{';
    const uint8_t close = is_object ? '}' : ']';
    if (depth == MOST_DEPTH)
      return NULL;
    at = skip_blanks(at + 1);
    if (*at == close)
      return at + 1;
    for (;;) {
      if (is_object) {
        if (*at != '"' || (at = skip_string(at + 1, words)) == NULL)
          return NULL;
        at = skip_blanks(at);
        if (*at != ':')
          return NULL;
        at = skip_blanks(at + 1);
      }
      if ((at = skip_value(at, words, depth + 1)) == NULL)
        return NULL;
      at = skip_blanks(at);
      if (*at == close)
        return at + 1;
      if (*at != ',')
        return NULL;
      at = skip_blanks(at + 1);
    }
  }
  default:
    at = read_number(at, words, &number);
    if (at == NULL || number.count > LONG_NUMBER || number.power > LARGE_EXPONENT)
      return NULL;
    return at;
  }
}

static inline text take_number(struct parser *parser, struct column *column, text at) {
  struct number number;
  double value;
  text end = read_number(at, parser->words, &number);
  if (end == NULL || number.count > LONG_NUMBER || !as_double(&number, at, parser->plain, &value))
    return NULL;
  column->numbers[parser->row] = value;
  set_valid(column, parser->row);
  return end;
}

/* A text is a string, or a boolean or an integer, which read the same in quotes. */
static inline text take_text(struct parser *parser, struct column *column, text at) {
  text end;
  if (*at == '"') {
    at++;
    end = plain_end(at, parser->words);
    if (*end == '"') {
      if (!put_text(column, parser->row, at, end - at))
        return NULL;
      end++;
    } else if (*end != '\\' || (end = put_escaped(column, parser->row, at, parser->words)) == NULL)
      return NULL;
  } else if (*at == 't' || *at == 'f') {
    end = *at == 't' ? read_word(at, "true", 4) : read_word(at, "false", 5);
    if (end == NULL || !put_text(column, parser->row, at, end - at))
      return NULL;
  } else {
    struct number number;
    end = read_number(at, parser->words, &number);
    if (end == NULL || !number.whole || number.count > INT_DIGITS || (number.negative && number.count == 0) ||
        !put_text(column, parser->row, at, end - at))
      return NULL;
  }
  set_valid(column, parser->row);
  return end;
}

static inline text take_value(struct parser *parser, int64_t field, text at) {
  if (field < 0)
    return skip_value(at, parser->words, 0);
  struct column *column = parser->columns[field];
  if (column->seen == parser->row) /* of a key that comes twice the first value counts */
    return skip_value(at, parser->words, 0);
  column->seen = parser->row;
  if (*at == 'n')
    return read_word(at, "null", 4);
  return column->kind == NUMBER ? take_number(parser, column, at) : take_text(parser, column, at);
}

/* Return the field of a key that is `size` bytes in its quotes, escapes and all; -1: not wanted. */
static int64_t field_of(const struct parser *parser, text key, int64_t size) {
  uint8_t put[LONG_KEY];
  if (size > LONG_KEY)
    return -1;
  size = unescaped(key, size, put, parser->words);
  for (int64_t i = 0; i < parser->field_count; i++)
    if (parser->fields[i].size == size && memcmp(parser->fields[i].key, put, (size_t)size) == 0)
      return i;
  return -1;
}

/* Read a key and return its field through `field`. Lines of a log have their keys in one order. */
static inline text take_key(struct parser *parser, int64_t place, text at, int64_t *field) {
  struct habit *habit = &parser->habits[place < MOST_KEYS ? place : MOST_KEYS - 1];
  if (habit->size > 0 && same(at, habit->key, habit->size, parser->words)) {
    *field = habit->field;
    return at + habit->size;
  }
  if (*at != '"')
    return NULL;
  text end = skip_string(at + 1, parser->words);
  if (end == NULL)
    return NULL;
  *habit = (struct habit){at, end - at, field_of(parser, at + 1, end - at - 2)};
  *field = habit->field;
  return end;
}

/* Take one object; `at` is its brace. Returns what follows it. */
static text take_object(struct parser *parser, text at) {
  at = skip_blanks(at + 1);
  if (*at == '}')
    return at + 1;
  for (int64_t place = 0;; place++) {
    int64_t field;
    if ((at = take_key(parser, place, at, &field)) == NULL)
      return NULL;
    at = skip_blanks(at);
    if (*at != ':')
      return NULL;
    if ((at = take_value(parser, field, skip_blanks(at + 1))) == NULL)
      return NULL;
    at = skip_blanks(at);
    if (*at == '}')
      return at + 1;
    if (*at != ',')
      return NULL;
    at = skip_blanks(at + 1);
  }
}

/* Take all lines; false at the first that is not plain. */
static bool take_lines(struct parser *parser, text at, text end) {
  while (at < end) {
    at = skip_blanks(at);
    if (*at == '{') {
      if ((at = take_object(parser, at)) == NULL)
        return false;
      parser->row++;
      at = skip_blanks(at);
    }
    if (*at == '\n')
      at++;
    else if (at != end)
      return false;
  }
  return true;
}

WIDE static int64_t newlines(text data, int64_t size) {
  int64_t found = 0;
  for (int64_t i = 0; i < size; i++)
    found += data[i] == '\n';
  return found;
}

static int64_t parse(struct parser *parser, const uint8_t *data, int64_t size) {
  const int64_t most = newlines(data, size) + 1;
  for (int64_t i = 0; i < parser->field_count; i++) {
    parser->columns[i] = calloc(1, sizeof **parser->columns);
    if (parser->columns[i] == NULL || !make_column(parser->columns[i], parser->fields[i].kind, most))
      return NO_MEMORY;
  }
  return take_lines(parser, data, data + size) ? parser->row : NOT_PLAIN;
}

/* Parse lines into a column for each field. Returns the number of rows; arrays and schemas (field_count of
   each, the caller's memory) are then to be released by whoever takes them. NOT_PLAIN or NO_MEMORY: there is
   nothing to release. data[size] must be 0, and size below 2**31. */
EXPORT int64_t driftd_json_lines(const uint8_t *data, int64_t size, const struct field *fields,
                                 int64_t field_count, struct ArrowArray *arrays,
                                 struct ArrowSchema *schemas) {
  int64_t rows = NO_MEMORY;
  struct parser *parser = calloc(1, sizeof *parser);
  struct column **columns = calloc((size_t)field_count + 1, sizeof *columns);
  const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (parser != NULL && columns != NULL && plain != (locale_t)0) {
    *parser = (struct parser){.words = data + size - sizeof(uint64_t),
                              .fields = fields,
                              .field_count = field_count,
                              .columns = columns,
                              .plain = plain};
    rows = parse(parser, data, size);
  }
  for (int64_t i = 0; columns != NULL && i < field_count; i++)
    if (rows >= 0)
      export_column(columns[i], rows, &arrays[i], &schemas[i]);
    else if (columns[i] != NULL)
      free_column(columns[i]);
  if (plain != (locale_t)0)
    freelocale(plain);
  free(columns);
  free(parser);
  return rows;
}
