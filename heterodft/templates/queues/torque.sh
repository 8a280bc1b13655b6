#!/bin/bash
#PBS -N $${job_name}
#PBS -l walltime=$${walltime}
#PBS -l nodes=$${nodes}:ppn=$${ppnode}
#PBS -l mem=$${memory}
#PBS -q $${queue}
#PBS -A $${account}
#PBS -W x=QOS:$${qos}
#PBS -o job.out
#PBS -j oe
#PBS -r n
#PBS -V
$${options}

export HETERODFT_JOB_START=$(date +%s)
$${pre_rocket}
cd $${folder} || exit 1
exec $${rocket_launch}
