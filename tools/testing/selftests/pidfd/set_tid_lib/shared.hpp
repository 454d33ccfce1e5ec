/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that a process shares with its later children.
 */
#ifndef SET_TID_LIB_SHARED_HPP
#define SET_TID_LIB_SHARED_HPP

#include <sys/mman.h>

#include <new>

/* One T, zeroed, that this process and its later children share. */
template <typename T> class Shared {
public:
	Shared()
	{
		void *mem = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		if (mem == MAP_FAILED)
			throw std::bad_alloc();
		value_ = new (mem) T{};
	}
	Shared(const Shared &) = delete;
	~Shared() { munmap(static_cast<void *>(value_), sizeof(T)); }

	T *operator->() const { return value_; }
	T &operator*() const { return *value_; }

private:
	T *value_;
};

#endif /* SET_TID_LIB_SHARED_HPP */
