#include "inflate.h"

#include <stdint.h>
#include <string.h>

enum {
    MAX_BITS = 15,
    FAST_BITS = 9,
    SYMBOLS = 288,
    DISTANCES = 30,
    /* A ring of twice the farthest distance: a piece is passed on before it is overwritten. */
    PIECE = 1 << 15,
    RING = 2 * PIECE,
    ADLER_PRIME = 65521,
    /* The longest run of bytes for which the sums of Adler-32 fit into 32 bits. */
    ADLER_RUN = 5552,
};

/* A canonical Huffman code. count: symbols of each length. fast: by the next bits, a symbol and its length, or 0. */
struct code {
    uint16_t count[MAX_BITS + 1];
    uint16_t symbol[SYMBOLS];
    uint16_t fast[1 << FAST_BITS];
};

struct stream {
    const unsigned char *next, *end;
    uint64_t hold;
    int bits;
    int beyond; /* zero bytes that were read after the end: an error once their bits are used */
    bool bad;
    unsigned char ring[RING];
    uint64_t made;
    uint32_t sum, sum_of_sums;
    take_piece take;
    void *context;
};

static const uint16_t length_base[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                       31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t length_bits[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint16_t distance_base[] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                         193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
static const uint8_t distance_bits[] = {0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                                        6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};

static void refill(struct stream *s) {
    while (s->bits <= 48) {
        if (s->next < s->end)
            s->hold |= (uint64_t)*s->next++ << s->bits;
        else
            s->beyond++;
        s->bits += 8;
    }
}

static uint32_t drop(struct stream *s, int count) {
    uint32_t value = s->hold & ((1u << count) - 1);
    s->hold >>= count;
    s->bits -= count;
    return value;
}

static uint32_t take_bits(struct stream *s, int count) {
    refill(s);
    return drop(s, count);
}

static void flush(struct stream *s, const unsigned char *piece, size_t count) {
    for (size_t done = 0; done < count;) {
        size_t stop = done + ADLER_RUN < count ? done + ADLER_RUN : count;
        for (; done < stop; done++) {
            s->sum += piece[done];
            s->sum_of_sums += s->sum;
        }
        s->sum %= ADLER_PRIME;
        s->sum_of_sums %= ADLER_PRIME;
    }
    if (!s->bad && !s->take(s->context, piece, count))
        s->bad = true;
}

static inline void put(struct stream *s, unsigned char byte) {
    s->ring[s->made++ % RING] = byte;
    if (s->made % PIECE == 0)
        flush(s, s->ring + (s->made - PIECE) % RING, PIECE);
}

/* False for lengths that no code has. Incomplete codes are accepted: a code of one distance is one. */
static bool build(struct code *code, const uint8_t *lengths, int symbols) {
    uint16_t offset[MAX_BITS + 2] = {0}, first[MAX_BITS + 2] = {0};
    memset(code, 0, sizeof *code);
    for (int i = 0; i < symbols; i++)
        code->count[lengths[i]]++;
    code->count[0] = 0;
    int left = 1;
    for (int length = 1; length <= MAX_BITS; length++) {
        left = 2 * left - code->count[length];
        if (left < 0)
            return false;
        offset[length + 1] = offset[length] + code->count[length];
        first[length + 1] = (uint16_t)((first[length] + code->count[length]) << 1);
    }
    for (int i = 0; i < symbols; i++) {
        int length = lengths[i];
        if (!length)
            continue;
        code->symbol[offset[length]++] = (uint16_t)i;
        unsigned canonical = first[length]++, reversed = 0;
        if (length > FAST_BITS)
            continue;
        for (int bit = 0; bit < length; bit++)
            reversed |= ((canonical >> bit) & 1) << (length - 1 - bit);
        for (unsigned at = reversed; at < 1 << FAST_BITS; at += 1u << length)
            code->fast[at] = (uint16_t)(i << 4 | length);
    }
    return true;
}

/* The next symbol, or -1. */
static int decode(struct stream *s, const struct code *code) {
    refill(s);
    unsigned entry = code->fast[s->hold & ((1 << FAST_BITS) - 1)];
    if (entry) {
        drop(s, entry & 15);
        return (int)(entry >> 4);
    }
    int value = 0, first = 0, index = 0;
    for (int length = 1; length <= MAX_BITS; length++) {
        value |= (int)(s->hold >> (length - 1)) & 1;
        int count = code->count[length];
        if (value - count < first) {
            drop(s, length);
            return code->symbol[index + value - first];
        }
        index += count;
        first = (first + count) << 1;
        value <<= 1;
    }
    return -1;
}

static bool compressed(struct stream *s, const struct code *symbols, const struct code *distances) {
    for (;;) {
        int symbol = decode(s, symbols);
        if (symbol < 0 || s->bad || s->beyond > 8)
            return false;
        if (symbol < 256) {
            put(s, (unsigned char)symbol);
            continue;
        }
        if (symbol == 256)
            return true;
        if (symbol > 285)
            return false;
        unsigned length = length_base[symbol - 257] + take_bits(s, length_bits[symbol - 257]);
        int far = decode(s, distances);
        if (far < 0 || far >= DISTANCES)
            return false;
        unsigned distance = distance_base[far] + take_bits(s, distance_bits[far]);
        if (distance > s->made)
            return false;
        while (length--)
            put(s, s->ring[(s->made - distance) % RING]);
    }
}

static bool stored(struct stream *s) {
    drop(s, s->bits % 8);
    uint32_t length = take_bits(s, 16), inverted = take_bits(s, 16);
    if (length != (inverted ^ 0xffff))
        return false;
    while (length-- && !s->bad && !s->beyond)
        put(s, (unsigned char)take_bits(s, 8));
    return true;
}

static bool fixed(struct stream *s) {
    uint8_t lengths[SYMBOLS];
    struct code symbols, distances;
    for (int i = 0; i < SYMBOLS; i++)
        lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    build(&symbols, lengths, SYMBOLS);
    memset(lengths, 5, DISTANCES);
    build(&distances, lengths, DISTANCES);
    return compressed(s, &symbols, &distances);
}

static bool dynamic(struct stream *s) {
    static const uint8_t order[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[SYMBOLS + 32] = {0};
    struct code symbols, distances;
    int literals = 257 + (int)take_bits(s, 5), far = 1 + (int)take_bits(s, 5), codes = 4 + (int)take_bits(s, 4);
    if (literals > 286 || far > DISTANCES)
        return false;
    for (int i = 0; i < codes; i++)
        lengths[order[i]] = (uint8_t)take_bits(s, 3);
    if (!build(&symbols, lengths, 19))
        return false;
    memset(lengths, 0, sizeof lengths);
    for (int i = 0; i < literals + far;) {
        int symbol = decode(s, &symbols);
        if (symbol < 0)
            return false;
        if (symbol < 16) {
            lengths[i++] = (uint8_t)symbol;
            continue;
        }
        if (symbol == 16 && !i)
            return false;
        uint8_t value = symbol == 16 ? lengths[i - 1] : 0;
        int times = symbol == 16 ? 3 + (int)take_bits(s, 2) : symbol == 17 ? 3 + (int)take_bits(s, 3) : 11 + (int)take_bits(s, 7);
        if (i + times > literals + far)
            return false;
        while (times--)
            lengths[i++] = value;
    }
    if (!build(&symbols, lengths, literals) || !build(&distances, lengths + literals, far))
        return false;
    return compressed(s, &symbols, &distances);
}

bool inflate_stream(const unsigned char *data, size_t size, take_piece take, void *context) {
    static struct stream s;
    memset(&s, 0, sizeof s);
    s.sum = 1;
    s.take = take;
    s.context = context;
    if (size < 6 || (data[0] & 15) != 8 || (data[0] << 8 | data[1]) % 31 || data[1] & 32)
        return false;
    s.next = data + 2;
    s.end = data + size;
    for (uint32_t last = 0; !last;) {
        last = take_bits(&s, 1);
        uint32_t kind = take_bits(&s, 2);
        if (!(kind == 0 ? stored(&s) : kind == 1 ? fixed(&s) : kind == 2 && dynamic(&s)))
            return false;
        if (s.bad || s.beyond > 8)
            return false;
    }
    flush(&s, s.ring + s.made / PIECE * PIECE % RING, s.made % PIECE);
    drop(&s, s.bits % 8);
    uint32_t expected = 0;
    for (int i = 0; i < 4; i++)
        expected = expected << 8 | take_bits(&s, 8);
    /* Bytes that were read ahead beyond the end are harmless as long as no bit of them was used. */
    return !s.bad && s.beyond * 8 <= s.bits && expected == (s.sum_of_sums << 16 | s.sum);
}
