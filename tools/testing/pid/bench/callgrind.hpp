/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names for the dumps of callgrind, from which measure.py takes its cases.
 */
#ifndef BENCH_CALLGRIND_HPP
#define BENCH_CALLGRIND_HPP

#include <deque>
#include <string>

/* Callgrind reads the name of a dump later: keep it. */
inline const char *dump_name(const std::string &name)
{
	static std::deque<std::string> names;

	return names.emplace_back(name).c_str();
}

#endif /* BENCH_CALLGRIND_HPP */
