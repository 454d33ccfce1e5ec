/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Runs lists of operations in a process of their own, which may crash, and makes a
 * list that fails as short as it can be.
 */
#ifndef MODEL_SHRINK_HPP
#define MODEL_SHRINK_HPP

#include "model/model.hpp"

/* What all runs together have done. */
struct Totals {
	unsigned long answers[256];
	unsigned long short_of_memory;
	unsigned long refused_in_pidfs;
};

/* How many operations it takes to fail; 0 if they do not. */
std::size_t fails(const Ops &list, bool trace);

/* Prints the short list in words, and in hexadecimal for pid_replay. */
void report(const Ops &failing);

const Totals &totals();

#endif /* MODEL_SHRINK_HPP */
