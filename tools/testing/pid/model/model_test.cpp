// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations against the model of model.hpp.
 *
 * pid_model_test [--ops N] [--seed S] [--length N]: N operations in all, in
 * runs of LENGTH, each with a world of its own. Prints the seed, which repeats
 * the run. A mismatch (or a crash) is cut down to a short list of operations,
 * which is printed in words, and in hexadecimal for pid_replay.
 */

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <random>

#include "model/model.hpp"

using Ops = std::vector<Op>;

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

/* What survives the process that runs the operations. */
static struct {
	std::size_t done;
	unsigned long answers[256];
	unsigned long short_of_memory;
} * shared;

/*
 * In a process of its own, which may crash: how many operations it takes to
 * fail, 0 if they do not.
 */
static std::size_t fails(const Ops &list, bool trace)
{
	int status;

	shared->done = 0;
	std::fflush(stdout);

	const pid_t child = fork();

	if (!child) {
		if (!trace && !std::freopen("/dev/null", "w", stderr))
			_exit(1);
		try {
			Model model;

			model.trace = trace;
			for (const Op &op : list) {
				__atomic_fetch_add(&shared->done, 1, __ATOMIC_SEQ_CST);
				model.step(op);
			}
			model.finish();
			for (const auto &[err, times] : model.answers)
				shared->answers[err] += times;
			shared->short_of_memory += model.short_of_memory;
		} catch (const Mismatch &e) {
			if (trace)
				std::printf("mismatch:  %s\n", e.what());
			std::fflush(stdout);
			_exit(1);
		}
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		std::perror("fork");
		std::exit(2);
	}
	return status ? std::max<std::size_t>(shared->done, 1) : 0;
}

/* Leaves out what the failure does not need, from halves to single ones. */
static Ops shrink(Ops list)
{
	list.resize(fails(list, false));
	for (std::size_t part = list.size() / 2; part; part /= 2) {
		for (std::size_t at = 0; at < list.size();) {
			Ops shorter = list;
			const auto from = shorter.begin() + at;

			shorter.erase(from, from + std::min(part, list.size() - at));
			if (shorter.empty() || !fails(shorter, false)) {
				at += part;
				continue;
			}
			list = shorter;
		}
	}
	return list;
}

static int report(const Ops &failing)
{
	const Ops list = shrink(failing);

	std::printf("\nA mismatch. %zu operations show it:\n\n", list.size());
	fails(list, true);
	std::printf("\nTo replay: xxd -r -p <<. | pid_replay /dev/stdin\n");
	for (const Op &op : list) {
		const auto *bytes = reinterpret_cast<const uint8_t *>(&op);

		for (std::size_t i = 0; i < sizeof(op); i++)
			std::printf("%02x", bytes[i]);
		std::printf("\n");
	}
	std::printf(".\n");
	return 1;
}

int main(int argc, char **argv)
{
	uint64_t seed = std::random_device{}();
	unsigned long count = 300000, length = 3000, done = 0;

	shared =
		static_cast<decltype(shared)>(mmap(nullptr, sizeof(*shared), PROT_READ | PROT_WRITE,
						   MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	if (shared == MAP_FAILED) {
		std::perror("mmap");
		return 2;
	}
	for (int i = 1; i + 1 < argc; i += 2) {
		const std::string option = argv[i];
		const unsigned long value = std::strtoul(argv[i + 1], nullptr, 0);

		if (option == "--ops")
			count = value;
		else if (option == "--seed")
			seed = value;
		else if (option == "--length")
			length = std::max(value, 1UL);
		else
			argc = 0;
	}
	if (argc % 2 == 0) {
		std::fprintf(stderr,
			     "usage: %s [--ops N] [--seed S] "
			     "[--length N]\n",
			     argv[0]);
		return 2;
	}

	std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
	std::fflush(stdout);

	const auto start = std::chrono::steady_clock::now();

	for (unsigned long run = 0; done < count; run++) {
		const Ops list = random_ops(seed + run, length);

		/* All of the run in one child, to survive a crash. */
		if (fails(list, false))
			return report(list);
		done += length;
	}

	const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;

	std::printf("%lu operations without a mismatch, %.1f s\n", done, took.count());
	std::printf("alloc_pid(): %lu granted", shared->answers[0]);
	for (int err = 1; err < 256; err++)
		if (shared->answers[err])
			std::printf(", %lu %s", shared->answers[err], strerrorname_np(err));
	std::printf(", %lu ran out of memory\n", shared->short_of_memory);
	return 0;
}
