/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random numbers of the model test. All of them come from a seed, and each part
 * that the shrinker can leave out has a seed of its own.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RANDOM_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RANDOM_HPP

#include <stdint.h>

#include <initializer_list>
#include <iterator>

namespace model
{
class Random {
public:
	explicit Random(uint64_t seed) : state_(seed) {}

	uint64_t next()
	{
		uint64_t z = state_ += 0x9e3779b97f4a7c15;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		return z ^ z >> 31;
	}
	/* 0 to count - 1 */
	uint64_t below(uint64_t count) { return next() % count; }
	bool percent(unsigned int chance) { return below(100) < chance; }
	template <typename List> auto of(const List &list)
	{
		return *std::next(list.begin(), below(list.size()));
	}
	template <typename T> T of(std::initializer_list<T> list)
	{
		return list.begin()[below(list.size())];
	}

private:
	uint64_t state_;
};

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RANDOM_HPP */
