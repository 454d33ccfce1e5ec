// SPDX-License-Identifier: GPL-2.0
/*
 * The slab, with failures on request, and the preloaded nodes of an IDR.
 */

#include <linux/idr.h>

#include "radix-tree.h"

#include "shim/internal.h"

/* Which allocations of this thread fail, and how many it has tried. */
static __thread struct {
	unsigned long tried[2];
	long succeed[2];
	unsigned long fail_nth;
} failures = {
	.succeed = { [SHIM_ATOMIC] = 0, [SHIM_SLEEPING] = -1 },
};

struct kmem_cache {
	size_t size;
	size_t align;
	void (*ctor)(void *object);
	unsigned int index;
	long live;
};

enum {
	/* Nodes, and a struct pid of each level. */
	NR_CACHES = 1 + SHIM_MAX_LEVEL + 1,
};

static struct kmem_cache caches[NR_CACHES];
static unsigned int nr_caches;

struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     size_t align, unsigned int flags,
				     void (*ctor)(void *object))
{
	struct kmem_cache *cache = &caches[nr_caches];

	shim_bug_on(nr_caches == NR_CACHES);
	cache->index = nr_caches++;
	cache->size = ALIGN(size, 64);
	cache->align = 64;
	cache->ctor = ctor;
	return cache;
}

static void *slab_new(struct kmem_cache *cache, size_t size)
{
	void *object = aligned_alloc(cache->align, ALIGN(size, cache->align));

	shim_bug_on(!object);
	/* Nobody may take memory for zeroed that was not asked for so. */
	memset(object, 0xa5, size);
	if (cache->ctor)
		cache->ctor(object);
	return object;
}

#ifdef SHIM_FAST

/* Free objects of this thread, linked behind each one's end. */
static __thread void *slab_free[NR_CACHES];

static void **slab_link(struct kmem_cache *cache, void *object)
{
	return object + cache->size;
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	void *object = slab_free[cache->index];

	if (unlikely(!object))
		return slab_new(cache, cache->size + sizeof(void *));
	slab_free[cache->index] = *slab_link(cache, object);
	return object;
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	*slab_link(cache, object) = slab_free[cache->index];
	slab_free[cache->index] = object;
}

#else

static bool slab_fails(enum shim_alloc kind)
{
	failures.tried[kind]++;
	if (failures.fail_nth && !--failures.fail_nth)
		return true;
	if (failures.succeed[kind] > 0)
		failures.succeed[kind]--;
	else if (!failures.succeed[kind])
		return true;
	return false;
}

static __thread struct {
	void (*other)(void *arg);
	void *arg;
} asleep;

/* The other's own allocations do not wait. */
static void sleep_for_memory(void)
{
	void (*other)(void *arg) = asleep.other;

	might_sleep();
	if (!other)
		return;
	asleep.other = NULL;
	other(asleep.arg);
	asleep.other = other;
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	enum shim_alloc kind = SHIM_ATOMIC;

	if (gfpflags_allow_blocking(gfp)) {
		sleep_for_memory();
		kind = SHIM_SLEEPING;
	}
	if (slab_fails(kind))
		return NULL;

	__atomic_fetch_add(&cache->live, 1, __ATOMIC_RELAXED);
	return slab_new(cache, cache->size);
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	shim_bug_on(!object);
	base_check_free(object);
	__atomic_fetch_sub(&cache->live, 1, __ATOMIC_RELAXED);
	memset(object, 0x6b, cache->size);
	free(object);
}

#endif

long slab_live(const struct kmem_cache *cache)
{
	return READ_ONCE(cache->live);
}

unsigned long slab_tried(enum shim_alloc kind)
{
	return failures.tried[kind];
}

void shim_while_asleep(void (*other)(void *arg), void *arg)
{
#ifndef SHIM_FAST
	asleep.other = other;
	asleep.arg = arg;
#endif
}

void shim_set_alloc(enum shim_alloc kind, long succeed)
{
	failures.succeed[kind] = succeed;
}

void shim_fail_nth(unsigned long n)
{
	failures.fail_nth = n;
}

bool shim_fail_pending(void)
{
	return failures.fail_nth;
}

unsigned int shim_drop_preloaded(void)
{
	unsigned int nr = this_cpu_ptr(&radix_tree_preloads)->nr;

	shim_cpu_dead(0);
	return nr;
}

unsigned int shim_usual_preload(void)
{
	shim_drop_preloaded();
	shim_bug_on(radix_tree_preload(GFP_KERNEL));
	radix_tree_preload_end();
	return shim_drop_preloaded();
}
