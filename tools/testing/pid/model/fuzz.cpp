// SPDX-License-Identifier: GPL-2.0
/*
 * A libFuzzer target: its input is a list of operations for the model of
 * model.hpp.
 */

#include <cstdlib>
#include <iostream>

#include "model/model.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, std::size_t size)
{
	try {
		run_bytes({ reinterpret_cast<const char *>(data), size }, false);
	} catch (const Mismatch &e) {
		std::cerr << "mismatch: " << e.what() << '\n';
		std::abort();
	}
	return 0;
}
