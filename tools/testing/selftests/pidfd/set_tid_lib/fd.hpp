/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file descriptor that is closed at the end of the scope.
 */
#ifndef SET_TID_LIB_FD_HPP
#define SET_TID_LIB_FD_HPP

#include <unistd.h>

#include <utility>

class Fd {
public:
	Fd() = default;
	explicit Fd(int fd) : fd_(fd) {}
	Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	Fd &operator=(Fd &&other) noexcept
	{
		std::swap(fd_, other.fd_);
		return *this;
	}
	~Fd() { reset(); }

	int get() const { return fd_; }
	bool valid() const { return fd_ >= 0; }
	void reset()
	{
		if (valid())
			close(std::exchange(fd_, -1));
	}

private:
	int fd_ = -1;
};

#endif /* SET_TID_LIB_FD_HPP */
