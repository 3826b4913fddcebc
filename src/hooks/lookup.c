#include "lookup.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The tables of one loaded object (System V gABI, chapter 5; the GNU hash section as glibc's dl-lookup.c reads it). */
struct object {
    ElfW(Addr) base;
    const ElfW(Sym) * symbols;
    const char *strings;
    const ElfW(Half) * versions; /* or NULL: no symbol has one */
    const uint32_t *hash;        /* number of buckets, first hashed symbol, bloom words, bloom shift */
};

#define HIDDEN_VERSION 0x8000

/*
 * The last object when the constructor ran: this library where nobody is behind it. NULL before. Nothing behind it is read: that
 * may be unloaded at the same time (dlclose(3)). What the program itself needs is never unloaded, and libc, which has nearly every
 * name, is among that.
 */
static const struct link_map *last;

/* glibc has turned the table's offsets into addresses, except where the section is read-only (the vDSO). */
static const void *table_at(const struct link_map *map, const ElfW(Dyn) * entry)
{
    ElfW(Addr) at = entry->d_un.d_ptr;
    return (const void *)(at < map->l_addr ? at + map->l_addr : at);
}

static struct object object_of(const struct link_map *map)
{
    struct object object = {.base = map->l_addr};
    for (const ElfW(Dyn) *entry = map->l_ld; entry && entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_SYMTAB)
            object.symbols = table_at(map, entry);
        else if (entry->d_tag == DT_STRTAB)
            object.strings = table_at(map, entry);
        else if (entry->d_tag == DT_VERSYM)
            object.versions = table_at(map, entry);
        else if (entry->d_tag == DT_GNU_HASH)
            object.hash = table_at(map, entry);
    }
    return object;
}

/* The table of object_of() that is asked first of every object, and mostly alone; or NULL. */
static const uint32_t *hash_in(const struct link_map *map)
{
    const ElfW(Dyn) *entry = map->l_ld;
    while (entry && entry->d_tag != DT_NULL && entry->d_tag != DT_GNU_HASH)
        entry++;
    return entry && entry->d_tag == DT_GNU_HASH ? table_at(map, entry) : NULL;
}

static uint32_t hash_of(const char *name)
{
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

static bool may_hold(const uint32_t *table, uint32_t hash)
{
    const ElfW(Addr) *bloom = (const ElfW(Addr) *)(table + 4);
    ElfW(Addr) word = bloom[hash / 64 % table[2]];
    return word >> hash % 64 & word >> (hash >> table[3]) % 64 & 1;
}

/* As strcmp(3), which may be another preloaded library's. */
static bool is_same(const char *one, const char *other)
{
    while (*one && *one == *other)
        one++, other++;
    return *one == *other;
}

static bool is_default(const struct object *object, uint32_t symbol, const char *name)
{
    const ElfW(Sym) *found = &object->symbols[symbol];
    return found->st_shndx != SHN_UNDEF && is_same(object->strings + found->st_name, name) &&
           !(object->versions && object->versions[symbol] & HIDDEN_VERSION);
}

/* The symbol's entry in the object, which may hold it; or NULL. */
static const ElfW(Sym) * symbol_in(const struct object *object, const char *name, uint32_t hash)
{
    const uint32_t *buckets = object->hash + 4 + object->hash[2] * (sizeof(ElfW(Addr)) / 4);
    const uint32_t *chains = buckets + object->hash[0];
    uint32_t first = object->hash[1], symbol = buckets[hash % object->hash[0]];
    if (symbol < first)
        return NULL;
    for (;; symbol++) {
        uint32_t entry = chains[symbol - first];
        if ((entry | 1) == (hash | 1) && is_default(object, symbol, name))
            return &object->symbols[symbol];
        if (entry & 1)
            return NULL;
    }
}

/* Whether the object has the tables that are read here. */
static bool is_readable(const struct object *object)
{
    return object->hash && object->symbols && object->strings;
}

/* What the dynamic linker itself says, for a name that is in an object or of a type that this file cannot read. */
static void *ask_linker(const char *name)
{
    int before = errno;
    void *function = dlsym(RTLD_NEXT, name);
    errno = before;
    return function;
}

/* This library among the objects, or NULL. */
static const struct link_map *own_object(void)
{
    const struct link_map *map = _r_debug.r_map;
    while (map && map->l_ld != _DYNAMIC)
        map = map->l_next;
    return map;
}

const char *lookup_own_path(void)
{
    const struct link_map *own = own_object();
    return own ? own->l_name : "";
}

/* The object after that one in the search order, unless it is the end. */
static const struct link_map *behind(const struct link_map *map, const struct link_map *end)
{
    return map && map != end ? map->l_next : NULL;
}

bool lookup_start(void)
{
    bool readable = true;
    const struct link_map *end = own_object();
    for (const struct link_map *next; (next = behind(end, NULL)); end = next) {
        struct object object = object_of(next);
        readable &= is_readable(&object);
    }
    __atomic_store_n(&last, end, __ATOMIC_RELEASE);
    return readable;
}

/* Others are computed by the object's own code (STT_GNU_IFUNC), or are a thread's. */
static bool is_plain(const ElfW(Sym) * symbol)
{
    return ELF64_ST_TYPE(symbol->st_info) == STT_FUNC || ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT;
}

void *lookup_next(const char *name)
{
    uint32_t hash = hash_of(name);
    const struct link_map *end = __atomic_load_n(&last, __ATOMIC_ACQUIRE);
    for (const struct link_map *map = behind(own_object(), end); map; map = behind(map, end)) {
        const uint32_t *table = hash_in(map);
        if (table && !may_hold(table, hash))
            continue;
        struct object object = object_of(map);
        if (!is_readable(&object))
            return ask_linker(name);
        const ElfW(Sym) *symbol = symbol_in(&object, name, hash);
        if (symbol)
            return is_plain(symbol) ? (void *)(object.base + symbol->st_value) : ask_linker(name);
    }
    return NULL;
}
