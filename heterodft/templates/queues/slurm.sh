#!/bin/bash
#SBATCH --job-name=$${job_name}
#SBATCH --time=$${walltime}
#SBATCH --nodes=$${nodes}
#SBATCH --ntasks=$${ntasks}
#SBATCH --cpus-per-task=1
#SBATCH --mem=$${memory}
#SBATCH --partition=$${queue}
#SBATCH --account=$${account}
#SBATCH --qos=$${qos}
#SBATCH --output=job.out
#SBATCH --open-mode=append
#SBATCH --no-requeue
#SBATCH --signal=$${signal}
$${options}

export HETERODFT_JOB_START=$(date +%s)
$${pre_rocket}
cd $${folder} || exit 1
exec $${rocket_launch}
