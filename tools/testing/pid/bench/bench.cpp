// SPDX-License-Identifier: GPL-2.0
/*
 * Time of alloc_pid() and free_pid(), by Google Benchmark, in the cases of
 * cases.hpp. Built once with ours and once with the base's; measure.py
 * runs both and compares.
 */

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include <benchmark/benchmark.h>

#include "bench/cases.hpp"

/* Calls between two looks at the clock; all their PIDs are live in between. */
static constexpr int batch = 64;

using Seconds = std::chrono::duration<double>;
using Timer = std::chrono::steady_clock;

static const std::vector<Case> cases = all_cases();
static std::unique_ptr<CaseChain> chain;

static void enter(const benchmark::State &state)
{
	shim_thread_enter();
	chain = std::make_unique<CaseChain>(cases[state.range(0)]);
}

static void leave(const benchmark::State &)
{
	chain.reset();
}

static std::vector<Pids> requests(int first)
{
	std::vector<Pids> all;

	all.reserve(batch);
	for (int i = 0; i < batch; i++)
		all.push_back(chain->request(first + i));
	return all;
}

static void alloc_batch(const std::vector<Pids> &wanted, std::vector<struct pid *> &pids)
{
	for (int i = 0; i < batch; i++)
		shim_alloc_pid(chain->target(), wanted[i].data(), wanted[i].size(), &pids[i]);
}

static void free_batch(const std::vector<struct pid *> &pids)
{
	for (struct pid *pid : pids)
		if (pid)
			shim_free_pid(pid);
}

/* Either call, by the clock; the other one is not counted. */
static void one_call(benchmark::State &state, bool count_alloc)
{
	const auto wanted = requests(0);
	std::vector<struct pid *> pids(batch);

	for (auto _ : state) {
		const auto start = Timer::now();

		alloc_batch(wanted, pids);

		const auto middle = Timer::now();

		free_batch(pids);

		const auto end = Timer::now();

		shim_rcu_barrier();
		state.SetIterationTime(
			Seconds(count_alloc ? middle - start : end - middle).count());
	}
	state.SetItemsProcessed(state.iterations() * batch);
}

/* Lets all threads of a measurement go at the same time. */
static void meet(int threads)
{
	static std::atomic<int> waiting, round;
	const int now = round;

	if (++waiting == threads) {
		waiting = 0;
		++round;
		return;
	}
	/* Soon, unless there is one processor for all of them. */
	for (unsigned int spins = 1; round == now; spins++)
		if (spins % 1024 == 0)
			std::this_thread::yield();
}

/* How much several threads that allocate at once get done. */
static void throughput(benchmark::State &state)
{
	shim_thread_enter();
	{
		const auto wanted = requests(batch * state.thread_index());
		std::vector<struct pid *> pids(batch);

		for (auto _ : state) {
			meet(state.threads());

			const auto start = Timer::now();

			alloc_batch(wanted, pids);
			state.SetIterationTime(Seconds(Timer::now() - start).count());
			meet(state.threads());
			free_batch(pids);
			shim_rcu_barrier();
		}
		state.SetItemsProcessed(state.iterations() * batch);
	}
	shim_thread_exit();
}

static void add(const std::string &name, std::size_t i, void (*run)(benchmark::State &),
		int threads)
{
	auto *const b = benchmark::RegisterBenchmark((name + "/" + cases[i].name()).c_str(), run);

	b->Arg(static_cast<int64_t>(i))->Setup(enter)->Teardown(leave);
	b->UseManualTime();
	if (threads)
		b->Threads(threads);
}

int main(int argc, char **argv)
{
	for (std::size_t i = 0; i < cases.size(); i++) {
		const Case &c = cases[i];

		add(
			"alloc", i, [](auto &state) { one_call(state, true); }, 0);
		if (c.request == Request::plain)
			add(
				"free", i, [](auto &state) { one_call(state, false); }, 0);
		if ((c.request == Request::plain || c.request == Request::all) && c.live == 1)
			for (int threads : { 1, 2 })
				add("threads", i, throughput, threads);
	}
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 1;
	benchmark::RunSpecifiedBenchmarks();
	return 0;
}
