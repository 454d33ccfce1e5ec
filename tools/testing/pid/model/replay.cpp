// SPDX-License-Identifier: GPL-2.0
/*
 * Does the operations that the files hold, with the model of model.hpp, and
 * prints what it does: pid_replay [-q] FILE... A file whose name ends in .hex is
 * text: eight bytes a line, in hexadecimal, and # comments. Any other is what
 * libFuzzer writes. pid_replay -b FILE.hex... writes the bytes of such files to
 * FILE, in the current directory.
 */

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

#include "model/model.hpp"

static bool is_text(const std::string &file)
{
	return file.ends_with(".hex");
}

static std::string read(const std::string &file)
{
	std::ifstream in(file, std::ios::binary);
	std::string bytes, line;

	if (!in)
		throw std::runtime_error("cannot read it");
	if (!is_text(file)) {
		std::stringstream all;

		all << in.rdbuf();
		return all.str();
	}
	while (std::getline(in, line)) {
		line.erase(std::min(line.find('#'), line.size()));
		for (std::size_t at = 0; at + 1 < line.size(); at += 2)
			bytes.push_back(
				static_cast<char>(std::stoi(line.substr(at, 2), nullptr, 16)));
	}
	return bytes;
}

static std::string name_in_here(const std::string &file)
{
	const std::size_t slash = file.rfind('/');
	const std::string name = slash == file.npos ? file : file.substr(slash + 1);

	return name.substr(0, name.size() - std::strlen(".hex"));
}

int main(int argc, char **argv)
{
	bool trace = true, convert = false;

	for (int i = 1; i < argc; i++) {
		const std::string file = argv[i];

		if (file == "-q") {
			trace = false;
			continue;
		}
		if (file == "-b") {
			convert = true;
			continue;
		}
		try {
			const std::string bytes = read(file);

			if (convert)
				std::ofstream(name_in_here(file), std::ios::binary) << bytes;
			else
				run_bytes(bytes, trace);
		} catch (const std::exception &e) {
			std::cout << file << ": " << e.what() << '\n';
			return 1;
		}
	}
	return 0;
}
