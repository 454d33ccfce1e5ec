# SPDX-License-Identifier: GPL-2.0
#
# plot.gp DIRECTORY TERMINAL SIZE FONTSIZE: called by plot.py.

dir = ARG1
data(call, kernel) = dir . '/' . call . '-' . kernel . '.dat'

eval sprintf("set terminal %s size %s font 'sans,%s' background '#ffffff'", ARG2, ARG3, ARG4)
set output dir . '/alloc_pid.' . ARG2
set multiplot layout 1,2
set key top left reverse Left
set xlabel 'level of the PID namespace'
set ylabel 'thousand instructions a call'
set xtics (0, 4, 8, 16, 24, 32)
set xrange [0:33]
set yrange [0:*]
set grid ytics lc '#dddddd'
set border 3
set tics nomirror
set style line 1 lw 2 pt 7 lc '#0072b2'
set style line 2 lw 2 pt 5 lc '#d55e00'

set title 'alloc\_pid()'
plot data('alloc', 'stock') title 'Linux' w lp ls 2, \
	data('alloc', 'patched') title 'with this overlay' w lp ls 1

set title 'a whole thread: clone3(CLONE\_THREAD)'
plot data('thread', 'stock') notitle w lp ls 2, \
	data('thread', 'patched') notitle w lp ls 1
