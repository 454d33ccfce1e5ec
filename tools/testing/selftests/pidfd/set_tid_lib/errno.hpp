/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names for error numbers.
 */
#ifndef SET_TID_LIB_ERRNO_HPP
#define SET_TID_LIB_ERRNO_HPP

#include <errno.h>
#include <string.h>

inline const char *errno_name(int error)
{
	if (!error)
		return "success";
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
	if (const char *name = strerrorname_np(error))
		return name;
#endif
	return strerror(error);
}

#endif /* SET_TID_LIB_ERRNO_HPP */
