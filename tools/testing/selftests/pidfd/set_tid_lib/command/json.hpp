/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: values in JSON.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_JSON_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_JSON_HPP

#include "../pids.hpp"

#include <stdint.h>
#include <stdio.h>

#include <string>
#include <string_view>
#include <vector>

inline bool is_printable_ascii(char c)
{
	return c >= ' ' && c <= '~';
}

/*
 * Text as a JSON string. Linux has bytes where JSON has Unicode: what is not printable
 * ASCII has to be escaped before, see escape_bytes(). If it is not, the JSON is valid
 * all the same: the byte 0xHH becomes the character U+00HH.
 */
inline std::string json_string(std::string_view text)
{
	std::string json = "\"";
	char code[8];

	for (char c : text) {
		if (c == '"' || c == '\\')
			json += '\\';
		if (is_printable_ascii(c)) {
			json += c;
			continue;
		}
		snprintf(code, sizeof(code), "\\u%04x", static_cast<unsigned char>(c));
		json += code;
	}
	return json + '"';
}

/*
 * Any bytes as printable ASCII. A backslash is escaped as well, so that the bytes can be
 * restored. The trace event set_tid_refused has names in the same form, but for the space,
 * which it escapes, too.
 */
inline std::string escape_bytes(std::string_view bytes)
{
	std::string text;
	char code[8];

	for (char c : bytes) {
		if (is_printable_ascii(c) && c != '\\') {
			text += c;
			continue;
		}
		snprintf(code, sizeof(code), "\\x%02x", static_cast<unsigned char>(c));
		text += code;
	}
	return text;
}

/* A number that is text already: the inode of a namespace does not fit a 32-bit long. */
inline std::string json_number(const std::string &text)
{
	const size_t digits = text.starts_with('-') ? 1 : 0;

	if (text.size() == digits || text.find_first_not_of("0123456789", digits) != text.npos)
		return "null";
	return text;
}

inline std::string json_array(const std::vector<std::string> &values)
{
	std::string json;

	for (const std::string &value : values)
		json += (json.empty() ? "" : ",") + value;
	return "[" + json + "]";
}

/* The members come in the order in which they are added; each value is JSON. */
class JsonObject {
public:
	JsonObject &add(const char *key, const std::string &value)
	{
		members_ += (members_.empty() ? "" : ",") + json_string(key) + ":" + value;
		return *this;
	}
	JsonObject &add(const char *key, uint64_t number)
	{
		return add(key, std::to_string(number));
	}

	std::string text() const { return "{" + members_ + "}"; }

private:
	std::string members_;
};

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_JSON_HPP */
