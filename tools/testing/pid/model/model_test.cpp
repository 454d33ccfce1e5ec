// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations against the model of model.hpp.
 *
 * pid_model_test [--ops N] [--seed S] [--length N]: N operations in all, in runs of
 * LENGTH, each of which starts with the root namespace alone. Prints the seed, which
 * repeats the run. A mismatch (or a crash) is cut down to a short list of operations,
 * which is printed in words, and in hexadecimal for pid_replay.
 */

#include <getopt.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "model/shrink.hpp"

static Ops random_ops(uint64_t seed, std::size_t length)
{
	std::mt19937_64 random(seed);
	Ops list(length);

	for (Op &op : list) {
		const uint64_t bits = random();

		std::memcpy(&op, &bits, sizeof(op));
	}
	return list;
}

struct Options {
	unsigned long ops = 300000;
	uint64_t seed = std::random_device{}();
	unsigned long length = 3000;
};

static Options parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "ops", required_argument, nullptr, 'o' },
		{ "seed", required_argument, nullptr, 's' },
		{ "length", required_argument, nullptr, 'l' },
		{},
	};
	Options options;
	bool understood = true;

	for (int option; (option = getopt_long(argc, argv, "", known, nullptr)) != -1;) {
		if (option == 'o')
			options.ops = std::strtoul(optarg, nullptr, 0);
		else if (option == 's')
			options.seed = std::strtoul(optarg, nullptr, 0);
		else if (option == 'l')
			options.length = std::max(std::strtoul(optarg, nullptr, 0), 1UL);
		else
			understood = false;
	}
	if (!understood || optind != argc) {
		std::fprintf(stderr, "usage: %s [--ops N] [--seed S] [--length N]\n", argv[0]);
		std::exit(2);
	}
	return options;
}

int main(int argc, char **argv)
{
	const Options options = parse(argc, argv);
	const auto start = std::chrono::steady_clock::now();
	unsigned long done = 0;

	std::printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
	std::fflush(stdout);
	for (unsigned long run = 0; done < options.ops; run++) {
		const Ops list = random_ops(options.seed + run, options.length);

		if (fails(list, false)) {
			report(list);
			return 1;
		}
		done += options.length;
	}

	const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;

	std::printf("%lu operations without a mismatch, %.1f s\n", done, took.count());
	std::printf("alloc_pid(): %lu granted", totals().answers[0]);
	for (int err = 1; err < 256; err++)
		if (totals().answers[err])
			std::printf(", %lu %s", totals().answers[err], strerrorname_np(err));
	std::printf(", %lu ran out of memory, %lu refused by pidfs\n", totals().short_of_memory,
		    totals().refused_in_pidfs);
	return 0;
}
